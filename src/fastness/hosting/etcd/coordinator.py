"""The coordinator of a cluster: etcd, from 3.4 on, through the JSON gateway each member has.

::

    EtcdCoordinator   the contract: sessions are leases, revisions are etcd's own
      readings        everything, without fetching what is known
      Watching        one stream for all hints
      Members         whom to ask; failover, tokens, versions
        Connection    HTTP/1.1 over the loop's streams

Every key lies under `<prefix>/`. What is asked, and why it is never stale:

- A read is linearizable: the member asks the leader, who asks a quorum, before it answers.
- A write that has nothing to write only compares. etcd takes a transaction without operations for
  one that wants no more than this member's own copy, and answers it from there, even cut off from
  all others. So there is always a read in it, which makes it linearizable.
- Reads, and what may happen twice (keeping alive, opening, ending), are asked of one member after
  another. A write goes to another one only while nothing was sent. What may have been carried out
  is `Unreachable`.

A lease of etcd has whole seconds, and never less than one and a half elections (2 s by default):
a session may live longer than it was asked for, which the contract allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NoReturn, TypeVar

from fastness.errors import (
    InvalidOption,
    LimitExceeded,
    PermissionDenied,
    ProtocolMismatch,
    Unauthenticated,
    Unreachable,
)
from fastness.hosting.etcd.members import Members, Refused, decoder
from fastness.hosting.etcd.messages import (
    LEASE_NOT_FOUND,
    PERMISSION_DENIED,
    Header,
    Json,
    KeepAliveAnswer,
    LeaseAnswer,
    RangeAnswer,
    TxnAnswer,
    comparisons,
    end_of,
    range_request,
    ranged,
    writes,
)
from fastness.hosting.etcd.readings import CHANGED, Known, entries_of, reading_of, reading_request
from fastness.hosting.etcd.urls import EtcdUrl, parse_etcd_url
from fastness.hosting.etcd.watching import Watch, Watching
from fastness.invariants import check
from fastness.limits import Limits
from fastness.placement.bounds import require_writable
from fastness.placement.coordinator import (
    CLUSTER,
    NAMES,
    NODES,
    RANGES,
    SESSIONS,
    STORES,
    Entry,
    Put,
)
from fastness.runtime.process import Process

T = TypeVar("T")

MILLISECONDS = 1_000

_decode_keep_alive = decoder(KeepAliveAnswer)
_decode_lease = decoder(LeaseAnswer)
_decode_range = decoder(RangeAnswer)
_decode_txn = decoder(TxnAnswer)


_BELOW = f"/{CLUSTER}"
_FAMILIES = (SESSIONS, NODES, NAMES, RANGES, STORES)


def _is_cluster_below(key: str) -> bool:
    """Whether a key that is none of ours is a cluster's own."""
    return key.endswith(_BELOW) and not key.startswith(_FAMILIES)


class EtcdCoordinator:
    """A `Coordinator` over etcd; see the module's page. Made by `open`."""

    def __init__(self, process: Process, url: EtcdUrl, limits: Limits) -> None:
        self.url = url
        self._root = f"{url.prefix}/".encode()
        self._members = Members(
            url,
            first=process.random.randrange(len(url.places)),
            patience_ms=limits.coordinator_ms,
            handshake_ms=limits.handshake_ms,
        )
        self._watching = Watching(process, self._members, self._root, limits)
        self._known = Known()

    @classmethod
    async def open(
        cls, process: Process, url: str | EtcdUrl, *, limits: Limits | None = None
    ) -> EtcdCoordinator:
        """Reach the cluster and see that it can be used.

        `InvalidUrl`, `InvalidOption` (TLS files), `Unreachable` (no member answers, or too few
        run), `Unauthenticated` and `PermissionDenied` (user, password, its role),
        `ProtocolMismatch` (a version of etcd that is too old, or loses writes).
        """
        parsed = parse_etcd_url(url) if isinstance(url, str) else url
        limits = limits or Limits()
        coordinator = cls(process, parsed, limits)
        try:
            await coordinator._members.look()
            await coordinator._try()
            await coordinator._require_apart()
            coordinator._members.opened()
        except BaseException:
            await coordinator.close()
            raise
        return coordinator

    async def _try(self) -> None:
        """See that this user may read and write under the prefix, if there are users."""
        own = self._root + CHANGED.encode()
        # Both sides are judged by the permissions they need; the comparison never holds.
        request: Json = {
            "compare": comparisons({CHANGED: -1}, self._root),
            "success": [*writes([Put(CHANGED, b"")], (), self._root)],
            "failure": [ranged(own, own + b"\0")],
        }
        try:
            answer = await self._members.ask("/v3/kv/txn", request, _decode_txn, repeatable=True)
            self._believe(answer.header)
        except Refused as refused:
            self._denied(refused)

    async def _require_apart(self) -> None:
        """`InvalidOption` where this prefix and another cluster's lie one within the other."""
        _revision, entries = await self.read("")
        inner = sorted(key for key in entries if _is_cluster_below(key))
        outer: list[str] = []
        parts = self.url.prefix.split("/")
        for size in range(1, len(parts)):
            above = "/".join(parts[:size])
            key = f"{above}/{CLUSTER}".encode()
            with suppress(Refused):  # What this user may not see, it will not touch.
                found = await self._members.ask(
                    "/v3/kv/range", range_request(key, key + b"\0"), _decode_range, repeatable=True
                )
                outer += [above] if found.kvs else []
        if inner or outer:
            other = outer[0] if outer else f"{self.url.prefix}/{inner[0].removesuffix(_BELOW)}"
            raise InvalidOption(
                f"prefix '{self.url.prefix}' and that of the cluster at '{other}' lie one within "
                "the other: choose a prefix that begins otherwise"
            )

    def _denied(self, refused: Refused) -> NoReturn:
        who = f"user {self.url.user!r}" if self.url.user else "a client without a user"
        if refused.code == PERMISSION_DENIED:
            raise PermissionDenied(
                f"{who} may not read and write under '{self.url.prefix}/' ({refused}): grant it, "
                f"with etcdctl role grant-permission ROLE readwrite --prefix {self.url.prefix}/"
            ) from refused
        raise Unauthenticated(
            f"{self.url.shown} is not used as {who} ({refused}): give user= and password_file="
        ) from refused

    async def close(self) -> None:
        """End every connection. Sessions run out by themselves; what is asked now fails."""
        await self._watching.close()
        self._members.close()

    # ---------------------------------------------------------------- sessions

    async def open_session(self, ttl_ms: int) -> int:
        """A new session that ends unless kept alive within `ttl_ms`, or later; its id, never 0.

        Where an answer was lost, a lease nobody knows of runs out by itself.
        """
        seconds = -(-ttl_ms // MILLISECONDS)
        lease = await self._ask("/v3/lease/grant", {"TTL": str(seconds)}, _decode_lease)
        self._believe(lease.header)
        check(lease.ID != 0, "etcd granted a lease without an id")
        return lease.ID

    async def keep_alive(self, session: int) -> bool:
        """Let the session live for its whole time from when this arrives; `False`: it ended."""
        answer = await self._ask("/v3/lease/keepalive", {"ID": str(session)}, _decode_keep_alive)
        if answer.error is not None:
            raise Unreachable(f"etcd did not keep the session alive: {answer.error.message}")
        self._believe(answer.result.header)
        return answer.result.TTL > 0

    async def end_session(self, session: int) -> None:
        """End it now, and remove the keys bound to it."""
        try:
            await self._asked("/v3/lease/revoke", {"ID": str(session)}, _decode_lease)
        except Refused as refused:
            if refused.code != LEASE_NOT_FOUND:
                self._not_now(refused)

    # ------------------------------------------------------------------- keys

    async def read(self, prefix: str) -> tuple[int, dict[str, Entry]]:
        """The current revision and every entry whose key begins with `prefix`; linearizable."""
        if not prefix:
            return await self._read_all()
        begin = self._root + prefix.encode()
        answer = await self._ask("/v3/kv/range", range_request(begin, end_of(begin)), _decode_range)
        self._believe(answer.header)
        entries = entries_of(self._root, answer.kvs)
        entries.pop(CHANGED, None)
        return answer.header.revision, entries

    async def _read_all(self) -> tuple[int, dict[str, Entry]]:
        known = self._known
        while True:
            request = reading_request(self._root, known)
            answer = await self._ask("/v3/kv/txn", request, _decode_txn)
            self._believe(answer.header)
            reading = reading_of(self._root, known, answer)
            known = reading.known
            if reading.complete:
                break
        if known.revision > self._known.revision:
            self._known = known
        return answer.header.revision, reading.entries

    async def write(
        self, compare: Mapping[str, int], puts: list[Put], deletes: tuple[str, ...] = ()
    ) -> int | None:
        """Write atomically if each key of `compare` is at that revision; the new one, or `None`."""
        require_writable(compare, puts, deletes)
        keys = [*(put.key for put in puts), *deletes]
        if any(key.startswith(RANGES) for key in keys):
            bound = [put.key for put in puts if put.session and put.key.startswith(RANGES)]
            check(not bound, "a range is bound to no session: it must not vanish unnoticed")
            puts = [*puts, Put(CHANGED, b"")]
        operations = writes(puts, deletes, self._root)
        if not operations:
            own = self._root + CHANGED.encode()
            operations = [ranged(own, own + b"\0")]
        request = {"compare": comparisons(compare, self._root), "success": operations}
        try:
            answer = await self._asked("/v3/kv/txn", request, _decode_txn, repeatable=not keys)
        except Refused as refused:
            if refused.code == LEASE_NOT_FOUND:
                return None  # A put under a session that has ended: nothing was written.
            self._not_now(refused)
        self._believe(answer.header)
        return answer.header.revision if answer.succeeded else None

    def watch(self, prefix: str, changed: Callable[[], None]) -> Watch:
        """Call `changed` some time after anything under the prefix did; best effort, coalesced."""
        return self._watching.add(prefix, changed)

    # ------------------------------------------------------------------ asking

    async def _ask(self, path: str, request: Json, decode: Callable[[bytes], T]) -> T:
        """An answer to what may be asked twice; a refusal is `Unreachable`, for the time being."""
        try:
            return await self._asked(path, request, decode)
        except Refused as refused:
            self._not_now(refused)

    async def _asked(
        self, path: str, request: Json, decode: Callable[[bytes], T], *, repeatable: bool = True
    ) -> T:
        try:
            return await self._members.ask(path, request, decode, repeatable=repeatable)
        except Unauthenticated as error:
            # Somebody changed the password: what this node holds is served until it runs out.
            raise Unreachable(str(error)) from error

    def _not_now(self, refused: Refused) -> NoReturn:
        """A refusal at run time is somebody's mistake or a full disk: it can be put right."""
        if "too large" in str(refused) or "too many operations" in str(refused):
            raise LimitExceeded(f"etcd does not take so much at once: {refused}") from refused
        raise Unreachable(f"etcd refuses this for now: {refused}") from refused

    def _believe(self, header: Header) -> None:
        """Take nothing from another cluster than the one this process began with."""
        try:
            self._members.require_same(header)
        except ProtocolMismatch as error:
            raise Unreachable(str(error)) from error
        self._watching.seen = max(self._watching.seen, header.revision)
