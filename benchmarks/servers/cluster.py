"""A cluster as real processes: one member of etcd, stores with a synchronous standby, nodes.

Servers are started once for a benchmark. A *realm* is a cluster of its own on them: a prefix of
etcd and a database in each store, so that every question begins with an empty one. Nothing is
tuned, but ranges stay as they were made: what is measured is one range, or so many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.servers.postgresql import Pair, carry_out, postgresql_pair
from fastness.errors import FastnessError
from fastness.hosting.etcd.versions import may_lose_writes
from fastness.laptop.daemon import running
from fastness.laptop.etcd import Member, etcd_members, etcd_places, etcd_version
from fastness.laptop.founding import ensure_founded
from fastness.laptop.node import NodeMember, Place, new_node
from fastness.laptop.ports import HOST, free_ports
from fastness.operations.control import Control, controlling
from fastness.placement.descriptors import Descriptor
from fastness.wire.messages import SplitRange

STOPPED_MS = 3_600_000
UNBALANCED = (
    *("--set", f"limits.balance_ms={STOPPED_MS}"),
    *("--set", f"limits.survey_ms={STOPPED_MS}"),
    *("--set", "log.level=error"),
)
"""No range is split or handed over by itself."""

SPLIT_TOGETHER = 4
PAUSE_S = 0.5


@dataclass(slots=True)
class Realm:
    """A cluster on the servers: where it is, and how a node of it is started."""

    folder: Path
    coordinator: str
    database: str
    """What it is called in each store."""
    started: int = field(default=0, init=False)

    def node(self, words: Sequence[str] = ()) -> NodeMember:
        """A further node, not started; `words` are options of `fastness serve`."""
        self.started += 1
        name = f"node-{self.started}"
        port, admin_port = free_ports(2)
        place = Place(name=name, folder=self.folder / name, port=port, admin_port=admin_port)
        return new_node(place, coordinator=self.coordinator, words=[*UNBALANCED, *words])

    async def divide(self, borders: Sequence[bytes]) -> None:
        """Split ranges that are served at these keys, in order, too; some ranges at a time."""
        async with controlling(self.coordinator) as control:
            seen = await control.look(reports=False)
            turns = asyncio.Semaphore(SPLIT_TOGETHER)

            async def split(one: Descriptor) -> None:
                inside = [at for at in borders if one.begin < at < one.end]
                async with turns:
                    # From the right on: the left part stays the range that it was.
                    for times, at in enumerate(reversed(inside)):
                        request = SplitRange(one.range_id, one.generation + times, at)
                        await _split(control, one.holder, request)

            async with asyncio.TaskGroup() as group:
                for one in seen.ranges:
                    group.create_task(split(one))

    @contextmanager
    def serving(self, words: Sequence[str] = ()) -> Iterator[NodeMember]:
        """A node that is ready; it is stopped at the end."""
        member = self.node(words)
        with running(member.daemon):
            yield member


async def _split(control: Control, holder: str, request: SplitRange) -> None:
    """Split, once: of one that nobody answered in time it is seen whether it happened."""
    try:
        await control.ask(holder, request)
    except FastnessError as error:
        if not error.retryable:
            raise
        await asyncio.sleep(PAUSE_S)
        seen = await control.look(reports=False)
        if all(one.begin != request.key for one in seen.ranges):
            await control.split(request.key)


@dataclass(frozen=True, slots=True)
class ClusterServers:
    """What all realms share."""

    folder: Path
    etcd: Member
    stores: dict[str, Pair]

    def realm(self, name: str, borders: Sequence[bytes] = ()) -> Realm:
        """Make a cluster of all stores, its keys divided at `borders`, the stores taking turns."""
        database = name.replace("-", "_")
        for pair in self.stores.values():
            carry_out(pair.primary, f"CREATE DATABASE {database}")
        risky = "?throwaway=on" if may_lose_writes(etcd_version()) else ""
        coordinator = f"etcd://{HOST}:{self.etcd.place.client_port}/{name}{risky}"
        stores = {store: pair.dsn(database) for store, pair in self.stores.items()}
        ensure_founded(coordinator, stores, borders)
        return Realm(self.folder / name, coordinator, database)

    def settle(self, realm: Realm) -> None:
        """Have the stores do now what they would begin soon after a load, beside what is measured.

        PostgreSQL then has nothing to vacuum, to analyze or to write back for a while.
        """
        for pair in self.stores.values():
            carry_out(pair.primary, "VACUUM ANALYZE", database=realm.database)
            carry_out(pair.primary, "CHECKPOINT")


def url_of(member: NodeMember, options: str = "") -> str:
    """A node's, for clients."""
    return f"fastness://{member.place.address}{options}"


@contextmanager
def cluster_servers(folder: Path, *, stores: int = 1) -> Iterator[ClusterServers]:
    """PostgreSQL and etcd, running."""
    folder = folder.resolve()
    with ExitStack() as opened:
        (member,) = etcd_members(etcd_places(folder, 1))
        opened.enter_context(running(member.daemon))
        pairs = {}
        for number in range(1, stores + 1):
            name = f"store-{number}"
            pairs[name] = opened.enter_context(postgresql_pair(folder / name))
        yield ClusterServers(folder, member, pairs)
