"""A transaction of a cluster: reads that are awaited, one snapshot over all ranges.

`ClusterReads` stands before `AsyncKeyValueTransaction` in the order of inheritance and replaces
what reads and commits; buffer, checks, conflicts and the typed operations are the same as in an
embedded database.

The read timestamp is drawn at the first read that needs it. Reads served from the near cache need
none as long as, at each further one, everything used so far may still be served: then all of it
is true at that instant. At the first miss, and at the commit of a writer, a timestamp is
drawn and everything used is looked at once more; from then on the snapshot is fixed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import cast

from fastness.cache import CachedKey, CachedScan
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.view import View
from fastness.client.transaction import AsyncTransaction
from fastness.encoding import continuations
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import Conflict, InvalidTimestamp
from fastness.model.operations import Schema
from fastness.ranges.requests import Content, Stamped, Write
from fastness.storage import cells
from fastness.storage.contract import Item
from fastness.transactions import (
    AsyncKeyValueTransaction,
    Engine,
    Page,
    TransactionState,
)
from fastness.transactions.buffer import WriteBuffer, Written

NO_SCHEMA = Schema()


class ClusterReads(AsyncKeyValueTransaction):
    """The reading and committing half of `ClusterTransaction`, which holds its state."""

    __slots__ = ()

    _core: ClusterCore
    _view: View

    # ------------------------------------------------------------------- faces

    async def get(
        self, key: bytes, *, snapshot: bool = False, cache: bool | None = None
    ) -> bytes | None:
        """The value of `key`, `None` if absent. `cache` overrides the transaction's own choice."""
        self._check_key(key)
        return await self.unchecked_get(key, snapshot=snapshot, cache=cache)

    async def get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False, cache: bool | None = None
    ) -> list[bytes | None]:
        """The value of each key in the order asked, `None` where absent."""
        for key in keys:
            self._check_key(key)
        return await self.unchecked_get_many(keys, snapshot=snapshot, cache=cache)

    async def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
        snapshot: bool = False,
        cache: bool | None = None,
    ) -> Page:
        """One page of the keys k with begin <= k < end, in order or against it."""
        interval, rest, limit = self._page_asked(begin, end, limit, reverse, continuation)
        entries, more = await self.unchecked_scan(
            rest.begin, rest.end, limit, reverse, snapshot=snapshot, cache=cache
        )
        token = continuations.encode(interval, reverse, entries[-1][0]) if more else None
        return Page(entries, token)

    async def scan_all(
        self, begin: bytes, end: bytes, *, reverse: bool = False, snapshot: bool = False
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Every entry of the interval, page after page."""
        continuation: bytes | None = None
        while True:
            page = await self.scan(
                begin, end, reverse=reverse, continuation=continuation, snapshot=snapshot
            )
            for entry in page.entries:
                yield entry
            continuation = page.continuation
            if continuation is None:
                return

    # ------------------------------------------------------------------- reads

    async def unchecked_get(
        self, key: bytes, *, snapshot: bool = False, cache: bool | None = None
    ) -> bytes | None:
        """As `get`, for layers above: any key, its type and size checked by the caller."""
        self.require_active()
        buffer = self._buffer
        known = Written.NO if buffer is None else buffer.find(key)
        if not isinstance(known, Written):
            return known
        if self._records and not snapshot:
            self._read_keys.add(key)
        value = self._value(await self._cell(key, self._view.caching if cache is None else cache))
        if known is Written.BY_OPERATIONS and buffer is not None:
            return buffer.operated(key, value)
        return value

    async def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False, cache: bool | None = None
    ) -> list[bytes | None]:
        """As `get_many`, for layers above."""
        self.require_active()
        buffer = self._buffer
        wanted = list(dict.fromkeys(keys))
        if buffer is not None:
            wanted = [key for key in wanted if type(buffer.find(key)) is Written]
        if self._records and not snapshot:
            self._read_keys.update(wanted)
            self._check_keys()
        found = await self._cells(wanted, self._view.caching if cache is None else cache)
        values = {key: self._value(cell) for key, cell in found.items()}
        if buffer is None:
            return [values[key] for key in keys]
        return [self._overlaid(buffer, key, values) for key in keys]

    def _overlaid(
        self, buffer: WriteBuffer, key: bytes, values: dict[bytes, bytes | None]
    ) -> bytes | None:
        known = buffer.find(key)
        if known is Written.NO:
            return values[key]
        if known is Written.BY_OPERATIONS:
            return buffer.operated(key, values[key])
        return known

    async def unchecked_scan(
        self,
        begin: bytes,
        end: bytes,
        limit: int,
        reverse: bool,
        *,
        snapshot: bool = False,
        cache: bool | None = None,
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The first `limit` entries of the interval, and whether there are more."""
        self.require_active()
        interval = KeyInterval(begin, end)
        if begin >= end:
            return [], False
        if self._buffer is not None:
            # Refuses what this transaction could not see before anything is read.
            self._buffer.touches(interval)
        caching = self._view.caching if cache is None else cache
        entries: list[tuple[bytes, bytes]] = []
        rest, complete = interval, False
        while not complete and len(entries) <= limit:
            wanted = limit + 1 - len(entries)
            items = await self._items(rest, wanted, caching, reverse=reverse)
            complete = len(items) < wanted
            stretch, rest = self._merged(rest, items, complete, reverse=reverse)
            entries.extend(stretch)
        more = len(entries) > limit
        del entries[limit:]
        if self._records and not snapshot:
            self._record_interval(interval, entries[-1][0] if more else None, reverse=reverse)
        return entries, more

    def unchecked_delete_range(self, begin: bytes, end: bytes) -> None:
        """As `delete_range`, for layers above. What it removes is counted by the leaseholder."""
        self._writing().erase(KeyInterval(begin, end))

    def check_key(self, key: bytes) -> None:
        """Refuse what no key may be."""
        self._check_key(key)

    def _value(self, cell: bytes | None) -> bytes | None:
        if cell is None:
            return None
        if cell < self._bound:
            return cell[8:]
        value = cells.value_at(cell, self.read_timestamp)
        if value is not None:
            self._note_expiry(cell)
        return value

    # ------------------------------------------------------------------- cells

    async def _cell(self, key: bytes, caching: bool) -> bytes | None:
        """The cell of a key in this snapshot."""
        if caching:
            return (await self._cached_cells([key]))[key]
        if not self._view.drawn:
            await self._draw()
        return await self._core.reader.cell(key, self.read_timestamp)

    async def _cells(self, keys: list[bytes], caching: bool) -> dict[bytes, bytes | None]:
        if not keys:
            return {}
        if caching:
            return await self._cached_cells(keys)
        if not self._view.drawn:
            await self._draw()
        return await self._core.reader.cells(keys, self.read_timestamp)

    async def _cached_cells(self, keys: list[bytes]) -> dict[bytes, bytes | None]:
        """Cells from the cache where it serves this snapshot, the others filled."""
        cached = self._core.cached
        found: dict[bytes, bytes | None] = {}
        missing: list[bytes] = []
        if self._view.draws_first and not self._view.drawn:
            await self._draw()
        for key in keys:
            entry = cached.find(key)
            if entry is not None and self._admits(entry):
                found[key] = entry.cell
            else:
                missing.append(key)
        self.read_timestamp = self._view.timestamp
        if not missing:
            return found
        if not self._view.drawn:
            await self._draw()
            found.update(await self._cached_cells(missing))
            return found
        at = self.read_timestamp
        latest = await cached.latest(missing)
        found.update({key: one.cell for key, one in latest.items() if one.valid_from <= at})
        newer = [key for key in missing if latest[key].valid_from > at]
        if newer:
            found.update(await self._core.reader.cells(newer, at))
        return found

    async def _items(
        self, interval: KeyInterval, limit: int, caching: bool, *, reverse: bool
    ) -> list[Item]:
        """The first `limit` cells of an interval in this snapshot."""
        if caching and not self._view.drawn and not self._view.draws_first:
            scans = self._core.cached.find_scans(interval, limit, reverse=reverse)
            if scans is not None and self._admit(scans):
                return [item for scan in scans for item in scan.items][:limit]
        if not self._view.drawn:
            await self._draw()
        source = self._core.cached if caching else self._core.reader
        return await source.scan(interval, limit, self.read_timestamp, reverse=reverse)

    def _admit(self, scans: list[CachedScan]) -> bool:
        """Whether cached scans serve this snapshot, every one of them."""
        admitted = all(self._admits(scan) for scan in scans)
        self.read_timestamp = self._view.timestamp
        return admitted

    def _admits(self, entry: CachedKey | CachedScan) -> bool:
        try:
            return self._view.admits(entry)
        except Conflict:
            self._end(TransactionState.FAILED)
            raise

    async def _draw(self) -> None:
        view = self._view
        try:
            await view.draw()
        except Conflict:
            # What was read before is of no moment at all: nothing may be built on it.
            self._end(TransactionState.FAILED)
            raise
        self.read_timestamp = view.timestamp
        self._bound = cells.bound(view.timestamp)

    # ------------------------------------------------------------------ commit

    @property
    def id(self) -> bytes:
        """The id under which the outcome can be asked for; empty until the commit is sent."""
        return self._identity

    @property
    def has_snapshot(self) -> bool:
        """Whether its read timestamp was drawn, and all it read is true there."""
        return self._view.drawn and self.read_timestamp == self._view.timestamp

    @property
    def priority(self) -> tuple[Timestamp, bytes]:
        """The timestamp of the first attempt: the lower goes first."""
        if self._priority is None:
            self._priority = (self.read_timestamp, b"")
        return self._priority

    async def commit(self) -> None:
        """Commit durably, then run the hooks; raises `Conflict` when a read was overtaken.

        Cancelled while it waits, the commit goes on; `outcome(tx.id)` tells how it ended.
        """
        self.require_active()
        buffer = self._buffer
        if buffer is None:
            self.commit_timestamp = self.read_timestamp
            self._end(TransactionState.COMMITTED)
            self._run_hooks()
            return
        try:
            self._check_budget()
            if not self._view.drawn and (
                self._view.has_used or self._read_keys or self._read_intervals
            ):
                await self._draw()
            content = self._content(buffer)
            self._end(TransactionState.COMMITTING)
            timestamp = await self._send(content)
        except BaseException:
            self._end(TransactionState.FAILED)
            raise
        self.commit_timestamp = timestamp
        self._state = TransactionState.COMMITTED
        self._run_hooks()

    async def _send(self, content: Content) -> Timestamp:
        commits = self._core.commits
        await commits.birth(content)
        if self._priority is None:
            self._priority = (max(self.read_timestamp, self._core.calls.issued), b"")
        self._identity, waiter = commits.begin(content, self._priority[0])
        ended = await waiter
        if ended.error is not None:
            raise ended.error
        return ended.timestamp

    def _content(self, buffer: WriteBuffer) -> Content:
        """Everything read and written, in one piece; sorted, as the order shows on the wire."""
        expiries = buffer.expiries
        return Content(
            read_timestamp=self.read_timestamp if self._view.drawn else 0,
            read_keys=sorted(self._read_keys),
            read_intervals=[(begin, end) for begin, end in self._read_intervals],
            writes=[
                Write(key, value, expiries.get(key, 0)) for key, value in buffer.writes.items()
            ],
            erased=[(begin, end) for begin, end in buffer.erased],
            atomics={
                key: [(int(kind), operand) for kind, operand in chain]
                for key, chain in buffer.atomics.items()
            },
            stamped_keys=[
                Stamped(one.prefix, one.suffix, one.value, one.erased_before)
                for one in buffer.stamped_keys
            ],
            stamped_values=buffer.stamped_values,
            write_keys=sorted(self._write_keys or ()),
            write_intervals=[(begin, end) for begin, end in self._write_intervals or ()],
            alive_until=self._alive_until,
            size=buffer.bytes,
        )


class ClusterTransaction(ClusterReads, AsyncTransaction):
    """A transaction of a cluster: keys and values (`get`, `set`, ...) and typed records."""

    __slots__ = ("_core", "_view")

    def __init__(
        self,
        core: ClusterCore,
        *,
        schema: Schema = NO_SCHEMA,
        at: Timestamp | None = None,
        read_only: bool = False,
        priority: tuple[Timestamp, bytes] | None = None,
        cache: bool = False,
    ) -> None:
        """Begin; nothing is sent before the first read or the commit."""
        if at is not None and (type(at) is not int or at < 0):
            raise InvalidTimestamp(f"at={at!r} is no timestamp")
        # Of an engine only limits and randomness are left: `ClusterReads` replaces all that reads.
        super().__init__(
            cast("Engine", core),
            schema=schema,
            read_only=read_only or at is not None,
            priority=priority,
        )
        self._core = core
        # A priority is kept from an attempt that failed.
        self._view = View(core, at, caching=cache, draws_first=priority is not None)
        self._bound = cells.bound(TIMESTAMP_MAX)
