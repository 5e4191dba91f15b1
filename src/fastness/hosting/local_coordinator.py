"""The coordinator of one server: sessions in memory, descriptors and the ceiling in its store.

A directory has one process at a time, as its lock sees to. So whatever a predecessor held is
free at once, and everything that knows a session, a node or a revision dies with this process:
only what must outlive it is durable, as two marks of the store::

    oracle.ceiling   the ceiling of timestamps: the very mark an embedded database keeps
    placement        the other entries that are bound to no session: ranges/, oracle, next-range

A write is compared, made durable, and only then seen and answered, one after another. An epoch
that somebody opened in the store without asking here (an embedded database did) is taken over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, Unreachable
from fastness.hosting.local_store import LocalStore
from fastness.hosting.marks import CEILING_MARK, PLACEMENT_MARK, placed_in, placement_mark
from fastness.placement.cluster_view import (
    decode_descriptor,
    decode_oracle,
    encode_counter,
    encode_descriptor,
)
from fastness.placement.coordinator import (
    CEILING,
    NAMES,
    NODES,
    ORACLE,
    RANGES,
    SESSIONS,
    Entry,
    Put,
)
from fastness.placement.coordinator_state import CoordinatorState
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND
from fastness.runtime.process import Process


class _Session:
    """One session, and when it ends unless kept alive."""

    __slots__ = ("ending", "ends_ns", "overdue", "ttl_ms")

    def __init__(self, ttl_ms: int) -> None:
        self.ttl_ms = ttl_ms
        self.ends_ns = 0
        self.ending: asyncio.Task[None] | None = None
        self.overdue = False
        """Found past its end once. A machine that was suspended wakes up long past it, before its
        own renewal is due: only a session found so twice, half its time apart, has ended."""


class _Watch:
    """Somebody who wants to know that something under a prefix changed; told once at a time."""

    __slots__ = ("_changed", "_process", "_told", "_watches", "prefix")

    def __init__(
        self,
        process: Process,
        prefix: str,
        changed: Callable[[], None],
        watches: dict[_Watch, None],
    ) -> None:
        self.prefix = prefix
        self._process = process
        self._changed = changed
        self._told = False
        self._watches = watches

    def tell(self) -> None:
        """Let it know, once the present call is over."""
        if not self._told:
            self._told = True
            self._process.call_later(0, self._arrive)

    def _arrive(self) -> None:
        self._told = False
        if self in self._watches:
            self._changed()

    def cancel(self) -> None:
        """Tell it no more."""
        self._watches.pop(self, None)


class LocalCoordinator:
    """A `Coordinator` for the nodes of one process; see the module's page."""

    def __init__(self, process: Process, store: LocalStore) -> None:
        """Go on from what the store holds; `StoreDamaged` where that cannot be read."""
        self._process = process
        self._store = store
        self._state = CoordinatorState(_inherited(store))
        self._sessions: dict[int, _Session] = {}
        self._watches: dict[_Watch, None] = {}
        self._turn = asyncio.Lock()

    async def open_session(self, ttl_ms: int) -> int:
        """A new session that ends unless kept alive within `ttl_ms`; its id, never 0."""
        number = self._state.open_session()
        self._sessions[number] = _Session(ttl_ms)
        self._prolong(number)
        self._process.call_later(ttl_ms, self._due, number)
        return number

    async def keep_alive(self, session: int) -> bool:
        """Let the session live for its whole time from now; `False`: it ended."""
        return self._prolong(session)

    async def end_session(self, session: int) -> None:
        """End it now, and remove the keys bound to it."""
        async with self._turn:
            self._sessions.pop(session, None)
            self._tell_watches(self._state.end(session))

    async def read(self, prefix: str) -> tuple[int, dict[str, Entry]]:
        """The current revision and every entry whose key begins with `prefix`."""
        return self._state.read(prefix)

    async def write(
        self, compare: Mapping[str, int], puts: list[Put], deletes: tuple[str, ...] = ()
    ) -> int | None:
        """Write atomically if each key of `compare` is at that revision; the new one, or `None`.

        `Unreachable` where the store did not take it: it may have been written all the same.
        """
        async with self._turn:
            if not self._state.admits(compare, puts, deletes):
                return None
            if not puts and not deletes:
                return self._state.revision
            marks = self._marks(puts, deletes)
            if marks:
                await self._record(marks)
            revision = self._state.write(puts, deletes)
        self._tell_watches([*(put.key for put in puts), *deletes])
        return revision

    def watch(self, prefix: str, changed: Callable[[], None]) -> _Watch:
        """Call `changed` some time after anything under the prefix did. Cancel the answer."""
        watch = _Watch(self._process, prefix, changed, self._watches)
        self._watches[watch] = None
        return watch

    async def lower_ceiling(self, issued: Timestamp) -> None:
        """Nothing above `issued` was issued, and nothing will be: a successor may start there.

        For the end of a process whose oracle has issued its last; else timestamps would run
        ahead of the clock after every restart.
        """
        async with self._turn:
            await self._record({CEILING_MARK: encode_counter(issued)})

    # ----------------------------------------------------------------- durable

    def _marks(self, puts: list[Put], deletes: tuple[str, ...]) -> dict[str, bytes | None]:
        """The marks of the store that a write changes."""
        marks: dict[str, bytes | None] = {}
        for put in puts:
            if put.key == CEILING:
                marks[CEILING_MARK] = put.value
        changed = [put for put in puts if _is_placed(put.key)]
        if changed or any(map(_is_placed, deletes)):
            placed = {key: data for key, data in self._state.snapshot().items() if _is_placed(key)}
            placed.update((put.key, put.value) for put in changed)
            for key in deletes:
                placed.pop(key, None)
            marks[PLACEMENT_MARK] = placement_mark(placed)
        return marks

    async def _record(self, marks: dict[str, bytes | None]) -> None:
        try:
            await self._store.record(marks)
        except FastnessError as error:
            raise Unreachable(f"the store did not take {sorted(marks)}: {error}") from error

    # ---------------------------------------------------------------- sessions

    def _prolong(self, number: int) -> bool:
        session = self._sessions.get(number)
        if session is None:
            return False
        now_ns = self._process.clock.boot_ns()
        session.ends_ns = now_ns + session.ttl_ms * NANOSECONDS_PER_MILLISECOND
        session.overdue = False
        return True

    def _due(self, number: int) -> None:
        session = self._sessions.get(number)
        if session is None:
            return
        left_ms = (session.ends_ns - self._process.clock.boot_ns()) / NANOSECONDS_PER_MILLISECOND
        if left_ms > 0:
            self._process.call_later(left_ms, self._due, number)
        elif not session.overdue:
            session.overdue = True
            self._process.call_later(session.ttl_ms / 2, self._due, number)
        else:
            self._process.note(f"session {number} expired")
            session.ending = self._process.spawn(
                self.end_session(number), name=f"end of session {number}"
            )

    def _tell_watches(self, keys: list[str]) -> None:
        for watch in list(self._watches):
            if any(key.startswith(watch.prefix) for key in keys):
                watch.tell()


def _is_placed(key: str) -> bool:
    """Whether a key belongs to the `placement` mark."""
    return key != CEILING and not key.startswith((SESSIONS, NODES, NAMES))


def _inherited(store: LocalStore) -> dict[str, bytes]:
    """What a new process begins with: all is released, nothing below an epoch that was opened."""
    entries = placed_in(store.mark(PLACEMENT_MARK))
    for key, value in entries.items():
        if key.startswith(RANGES):
            found = decode_descriptor(value)
            epoch = max(found.epoch, store.range_epoch(found.range_id))
            entries[key] = encode_descriptor(replace(found, epoch=epoch, released=True))
        elif key == ORACLE:
            entries[key] = encode_descriptor(replace(decode_oracle(value), released=True))
    ceiling = store.mark(CEILING_MARK)
    if ceiling is not None:
        entries[CEILING] = ceiling
    return entries
