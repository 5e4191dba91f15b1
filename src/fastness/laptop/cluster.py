"""A whole cluster in one folder: started in order, looked after, hurt on purpose, stopped.

::

    with LaptopCluster.up(folder, nodes=3, stores=2) as cluster:
        db = fastness.open(cluster.url)
        cluster.kill(cluster.primary_of("store-1"))      # Patroni promotes the other side
        cluster.pause(cluster.etcd_leader())
        cluster.await_whole()

Order: etcd, then the stores, then the nodes; stopped the other way round. Whoever holds it is its
supervisor: should that process die, a sentinel ends everything (`sentinel.py`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from fastness.errors import DeadlineExceeded, InvalidOption, Unreachable
from fastness.hosting.etcd.versions import may_lose_writes
from fastness.laptop import etcd, node, patroni, processes
from fastness.laptop.daemon import Daemon
from fastness.laptop.folder import Folder
from fastness.laptop.founding import ensure_founded
from fastness.laptop.plan import Plan, Seat, Size, etcd_place, store_place
from fastness.laptop.ports import HOST
from fastness.laptop.sentinel import Sentinel

WHOLE_S = 180.0
"""How long a store may take to be made, copied to its standby, and followed."""
POLL_S = 0.1
RESTARTS = 10
RESTARTS_S = 60.0
"""A member that died so often in this time rests for what remains of it."""
PREFIX = "fastness"
"""Below which nodes keep what they agree on in etcd."""

Saying = Callable[[str], object]


def _loopback(_name: str) -> str:
    return HOST


def _nothing(_name: str) -> tuple[str, ...]:
    return ()


def _silence(_text: str) -> None:
    pass


class LaptopCluster:
    """The members by name: `etcd-1`, `store-1-a`, `store-1-b`, `node-1`, and so on.

    `host_of` and `prefix_of` say where a member listens and what stands before its command: for
    members in network namespaces of their own.
    """

    def __init__(
        self, folder: Folder, plan: Plan, prefix_of: Callable[[str], tuple[str, ...]] = _nothing
    ) -> None:
        self._folder = folder
        self.plan = plan
        self._prefix_of = prefix_of
        self._sentinel: Sentinel | None = None
        self._down: set[str] = set()
        self._restarts: dict[str, deque[float]] = {}
        self._make_members()

    @classmethod
    def up(
        cls,
        folder: Path,
        *,
        nodes: int | None = None,
        stores: int | None = None,
        standbys: int | None = None,
        host_of: Callable[[str], str] = _loopback,
        prefix_of: Callable[[str], tuple[str, ...]] = _nothing,
        borders: Sequence[bytes] = (),
        saying: Saying = _silence,
    ) -> Self:
        """Bring everything up, from whatever an earlier run left; returns once it is whole.

        Other numbers than those of an earlier run make it grow. A new cluster's keys are divided
        at `borders`, over the stores in turn. `DirectoryHeld` if another
        process runs it, `AddressUnavailable` if a port is taken, `ProgramMissing`,
        `ForeignStore`. If it does not come up, everything is stopped again, and the error shows
        the end of the log of the member that failed.
        """
        processes.require_proc()
        where = Folder(folder)
        size_of = partial(Size.or_as_told, nodes=nodes, stores=stores, standbys=standbys)
        where.lock()
        try:
            cluster = cls(where, where.plan(size_of, host_of), prefix_of)
        except BaseException:
            where.unlock()
            raise
        try:
            cluster._start(borders, saying)
        except BaseException:
            cluster.down()
            raise
        return cluster

    @classmethod
    def seen(cls, folder: Path) -> Self | None:
        """The cluster of a folder, to look at what another process runs; `None`: there is none."""
        where = Folder(folder)
        plan = where.planned()
        return cls(where, plan) if plan is not None else None

    def _make_members(self) -> None:
        plan, root, mark = self.plan, self._folder.path, self.plan.id
        secrets = self._folder.secrets(plan)
        self.etcd = etcd.etcd_members(
            [etcd_place(root, seat, self._prefix_of(seat.name)) for seat in plan.etcd], mark=mark
        )
        hosts = [f"{seat.host}:{seat.port}" for seat in plan.etcd]
        self.stores = {
            name: patroni.new_store(
                name,
                [store_place(root, seat, self._prefix_of(seat.name)) for seat in sides],
                etcd=hosts,
                passwords=secrets.stores[name],
                programs=self._folder.programs,
                mark=mark,
            )
            for name, sides in zip(secrets.stores, plan.stores, strict=True)
        }
        self.nodes = [self._node(seat) for seat in plan.nodes]

    def _node(self, seat: Seat) -> node.NodeMember:
        place = node.Place(
            name=seat.name,
            folder=self._folder.path / seat.name,
            port=seat.port,
            admin_port=seat.other_port,
            host=seat.host,
            prefix=self._prefix_of(seat.name),
        )
        return node.new_node(place, coordinator=self.coordinator, mark=self.plan.id)

    @property
    def folder(self) -> Path:
        """Where everything is."""
        return self._folder.path

    @property
    def coordinator(self) -> str:
        """The URL of etcd, for nodes and for `fastness cluster`."""
        members = ",".join(f"{seat.host}:{seat.port}" for seat in self.plan.etcd)
        risky = "?throwaway=on" if may_lose_writes(etcd.etcd_version()) else ""
        return f"etcd://{members}/{PREFIX}{risky}"

    @property
    def url(self) -> str:
        """For clients: every node."""
        return "fastness://" + ",".join(member.place.address for member in self.nodes)

    @property
    def daemons(self) -> dict[str, Daemon]:
        """Every member's process by name, in the order of starting."""
        return {daemon.name: daemon for daemon in self._daemons()}

    def _daemons(self) -> Iterator[Daemon]:
        for member in self.etcd:
            yield member.daemon
        for store in self.stores.values():
            for side in store.members:
                yield side.daemon
        for one in self.nodes:
            yield one.daemon

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def _start(self, borders: Sequence[bytes], saying: Saying) -> None:
        processes.end_all(self.plan.id, self.folder)
        unfinished = self._folder.undo_unfinished(self.plan)
        self._folder.require_free(self.plan)
        self._sentinel = Sentinel(self.plan.id, self.folder)
        saying(f"etcd: {len(self.etcd)} members")
        for member in self.etcd:
            member.daemon.start()
        for member in self.etcd:
            member.daemon.await_ready()
        for name in unfinished:
            self.etcd[0].forget(f"{patroni.NAMESPACE}{name}/")
        saying(
            f"PostgreSQL: {len(self.stores)} clusters, each with {self.plan.size.standbys} standby"
        )
        for store in self.stores.values():
            for side in store.members:
                side.daemon.start()
        for store in self.stores.values():
            self._await(store.is_whole, store.name, [one.daemon for one in store.members])
            store.create_database()
            self._folder.finished(side.place.name for side in store.members)
        if self.nodes:
            self._start_nodes(borders, saying)

    def _start_nodes(self, borders: Sequence[bytes], saying: Saying) -> None:
        stores = {name: store.dsn for name, store in self.stores.items()}
        ensure_founded(self.coordinator, stores, borders)
        saying(f"nodes: {len(self.nodes)}")
        for member in self.nodes:
            member.daemon.start()
        for member in self.nodes:
            member.daemon.await_ready()

    def _await(
        self,
        is_done: Callable[[], bool],
        what: str,
        daemons: list[Daemon],
        within_s: float = WHOLE_S,
    ) -> None:
        """Wait for something that takes all of these processes, and show their logs if it fails."""
        give_up = time.monotonic() + within_s
        while not is_done():
            for daemon in daemons:
                if not daemon.is_running():
                    raise Unreachable(f"{daemon.name} ended: {daemon.last_words()}")
            if time.monotonic() > give_up:
                words = "\n".join(f"{one.name}: {one.last_words()}" for one in daemons)
                raise DeadlineExceeded(f"{what} was not whole after {within_s:.0f} s. {words}")
            time.sleep(POLL_S)

    def down(self) -> None:
        """Stop everything in order; no process is left, whatever happens. Idempotent."""
        try:
            for group in self._groups_to_stop():
                for daemon in group:
                    daemon.ask_to_stop()
                for daemon in group:
                    daemon.stop(patroni.STOP_S)
        finally:
            processes.end_all(self.plan.id, self.folder)
            if self._sentinel is not None:
                self._sentinel.dismiss()
                self._sentinel = None
            self._folder.unlock()

    def _groups_to_stop(self) -> Iterator[list[Daemon]]:
        """Nodes, standbys, primaries, etcd."""
        yield [one.daemon for one in self.nodes]
        sides = [side for store in self.stores.values() for side in store.members]
        primaries = [side for side in sides if side.daemon.is_running() and side.is_primary()]
        # A primary that loses its standby while it stops waits for it in vain for some seconds.
        yield [side.daemon for side in sides if side not in primaries]
        yield [side.daemon for side in primaries]
        yield [one.daemon for one in self.etcd]

    def tend(self) -> list[str]:
        """Start again what has died and was not killed by `kill`; the names of these members."""
        again = []
        for daemon in self._daemons():
            if daemon.name not in self._down and not daemon.is_running() and self._may_try(daemon):
                daemon.start()
                again.append(daemon.name)
        return again

    def _may_try(self, daemon: Daemon) -> bool:
        """Whether it has not died too often of late."""
        now = time.monotonic()
        tried = self._restarts.setdefault(daemon.name, deque(maxlen=RESTARTS))
        if len(tried) == RESTARTS and now - tried[0] < RESTARTS_S:
            return False
        tried.append(now)
        return True

    def kill(self, name: str) -> None:
        """SIGKILL to all of a member, as if its machine had lost power. It stays down."""
        self._down.add(name)
        self._daemon(name).kill()

    def kill_postgres(self, name: str) -> None:
        """SIGKILL to the PostgreSQL of a store's member; its Patroni lives."""
        side = self._side(name)
        pid = side.postgres_pid()
        if pid not in side.daemon.pids():
            raise Unreachable(f"{name} runs no PostgreSQL that could be killed")
        processes.signal_all({pid}, processes.KILL)

    def pause(self, name: str) -> None:
        """SIGSTOP to all of a member."""
        self._daemon(name).pause()

    def resume(self, name: str) -> None:
        """Let a paused member go on, or start one that is down; it may not be ready yet."""
        self._down.discard(name)
        daemon = self._daemon(name)
        daemon.resume()
        daemon.start()

    def stop_member(self, name: str) -> None:
        """Stop one member orderly, as for an upgrade: a node drains. It stays down."""
        self._down.add(name)
        self._daemon(name).stop(patroni.STOP_S)

    def primary_of(self, store: str) -> str:
        """The member of a store that takes writes; `Unreachable` while there is none."""
        if store not in self.stores:
            raise InvalidOption(f"{store!r} is no store: there are {', '.join(self.stores)}")
        primary = self.stores[store].primary()
        if primary is None:
            raise Unreachable(f"{store} has no primary now: Patroni may be promoting one")
        return primary.place.name

    def standbys_of(self, store: str) -> list[str]:
        """The other members of a store."""
        primary = self.primary_of(store)
        names = (one.place.name for one in self.stores[store].members)
        return [name for name in names if name != primary]

    def etcd_leader(self) -> str:
        """The member of etcd that leads; `Unreachable` while there is none."""
        for member in self.etcd:
            if member.is_leader():
                return member.place.name
        raise Unreachable("etcd has no leader now: it may be electing one")

    def is_whole(self) -> bool:
        """Whether every member is ready, and every store has its standby."""
        return all(daemon.is_ready() for daemon in self._daemons()) and all(
            store.is_whole() for store in self.stores.values()
        )

    def await_whole(self, within_s: float = WHOLE_S) -> None:
        """Return once it is; members that died meanwhile are started again."""
        give_up = time.monotonic() + within_s
        while not self.is_whole():
            self.tend()
            if time.monotonic() > give_up:
                raise DeadlineExceeded(
                    f"the cluster was not whole again after {within_s:.0f} s: {self._complaints()}"
                )
            time.sleep(POLL_S)

    def _complaints(self) -> str:
        words = [f"{one.name}: {one.last_words()}" for one in self._daemons() if not one.is_ready()]
        return "\n".join(words) or "every member is ready, but a store lacks its standby"

    def _daemon(self, name: str) -> Daemon:
        found = self.daemons.get(name)
        if found is None:
            raise InvalidOption(f"{name!r} is no member: there are {', '.join(self.daemons)}")
        return found

    def _side(self, name: str) -> patroni.StoreMember:
        for store in self.stores.values():
            for side in store.members:
                if side.place.name == name:
                    return side
        raise InvalidOption(f"{name!r} is no member of a store")
