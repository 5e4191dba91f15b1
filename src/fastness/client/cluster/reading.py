"""How a transaction of a cluster reads and commits: one snapshot over all ranges.

Buffer, checks, conflicts and the typed operations are the same as in an embedded database;
`transaction.py` puts this behind the calls of an asynchronous and of a synchronous transaction.

The read timestamp is drawn at the first read that needs it. Reads served from the near cache need
none as long as, at each further one, everything used so far may still be served: then all of it
is true at that instant. At the first miss, and at the commit of a writer, a timestamp is
drawn and everything used is looked at once more; from then on the snapshot is fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from fastness.cache import CachedKey, CachedScan
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.view import View
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Conflict
from fastness.ranges.requests import Content, Interval, Write
from fastness.storage import cells
from fastness.storage.contract import Item
from fastness.transactions import TransactionCore, TransactionState
from fastness.transactions.buffer import WriteBuffer, Written


class Versioned(NamedTuple):
    """A value and the timestamp of the commit that wrote it."""

    value: bytes
    version: Timestamp


class ClusterReading(TransactionCore):
    """How a transaction of a cluster reads and commits, whoever drives it.

    The state is that of `TransactionCore`, and of the two slots the classes below add.
    """

    __slots__ = ()

    _core: ClusterCore
    _view: View

    # ------------------------------------------------------------------- reads

    async def read_key(self, key: bytes, snapshot: bool, cache: bool | None) -> bytes | None:
        """The value of any key, its type and size checked by the caller."""
        self.require_active()
        self._core.require_here()
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

    async def read_keys(
        self, keys: Sequence[bytes], snapshot: bool, cache: bool | None
    ) -> list[bytes | None]:
        """The values of any keys, in the order asked."""
        self.require_active()
        self._core.require_here()
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

    async def read_versions(self, keys: Sequence[bytes]) -> list[Versioned | None]:
        """The values of any keys with what wrote them, as stored: own writes are not seen."""
        self.require_active()
        self._core.require_here()
        wanted = list(dict.fromkeys(keys))
        if self._records:
            self._read_keys.update(wanted)
            self._check_keys()
        found = await self._cells(wanted, caching=False)
        versions: dict[bytes, Versioned | None] = {}
        for key, cell in found.items():
            value = self._value(cell)
            if cell is None or value is None:
                versions[key] = None
            else:
                versions[key] = Versioned(value, cells.timestamp_of(cell))
        return [versions[key] for key in keys]

    def _overlaid(
        self, buffer: WriteBuffer, key: bytes, values: dict[bytes, bytes | None]
    ) -> bytes | None:
        known = buffer.find(key)
        if known is Written.NO:
            return values[key]
        if known is Written.BY_OPERATIONS:
            return buffer.operated(key, values[key])
        return known

    async def read_interval(
        self,
        interval: KeyInterval,
        limit: int,
        reverse: bool,
        snapshot: bool,
        cache: bool | None,
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The first `limit` entries of the interval, and whether there are more."""
        self.require_active()
        self._core.require_here()
        if interval.begin >= interval.end:
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
        if self._core.space:
            key = self._core.space + key
        if caching:
            return (await self._cached_cells([key]))[key]
        if not self._view.drawn:
            await self._draw()
        return await self._core.reader.cell(key, self.read_timestamp)

    async def _cells(self, keys: list[bytes], caching: bool) -> dict[bytes, bytes | None]:
        if not keys:
            return {}
        space = self._core.space
        if space:
            keys = [space + key for key in keys]
        if caching:
            found = await self._cached_cells(keys)
        else:
            if not self._view.drawn:
                await self._draw()
            found = await self._core.reader.cells(keys, self.read_timestamp)
        return {key[len(space) :]: cell for key, cell in found.items()} if space else found

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
        space = self._core.space
        if not space:
            return await self._outside_items(interval, limit, caching, reverse=reverse)
        outside = KeyInterval(space + interval.begin, space + interval.end)
        items = await self._outside_items(outside, limit, caching, reverse=reverse)
        return [(key[len(space) :], cell) for key, cell in items]

    async def _outside_items(
        self, interval: KeyInterval, limit: int, caching: bool, *, reverse: bool
    ) -> list[Item]:
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

    async def send_commit(self) -> None:
        """Commit durably; the hooks are the caller's."""
        self.require_active()
        self._core.require_here()
        buffer = self._buffer
        if buffer is None:
            self.commit_timestamp = self.read_timestamp
            self._end(TransactionState.COMMITTED)
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

    async def _send(self, content: Content) -> Timestamp:
        commits = self._core.commits
        await commits.birth(content)
        if self._priority is None:
            self._priority = (max(self.read_timestamp, self._core.calls.issued), b"")
        self._identity, waiter = commits.begin(content, self._priority[0])
        ended = await waiter
        error = ended.error
        if isinstance(error, Conflict) and self._core.space:
            raise Conflict(str(error), key=self._core.inside(error.key), winner=error.winner)
        if error is not None:
            raise error
        return ended.timestamp

    def _content(self, buffer: WriteBuffer) -> Content:
        """Everything read and written, in one piece; sorted, as the order shows on the wire."""
        expiries = buffer.expiries
        outside = self._core.outside
        if self._only_writes(buffer):
            return Content(
                writes=[
                    Write(outside(key), value, expiries.get(key, 0))
                    for key, value in buffer.writes.items()
                ],
                size=buffer.bytes,
            )
        return Content(
            read_timestamp=self.read_timestamp if self._view.drawn else 0,
            read_keys=sorted(map(outside, self._read_keys)),
            read_intervals=self._pairs(self._read_intervals),
            writes=[
                Write(outside(key), value, expiries.get(key, 0))
                for key, value in buffer.writes.items()
            ],
            erased=self._pairs(buffer.erased),
            atomics={
                outside(key): [(int(kind), operand) for kind, operand in chain]
                for key, chain in buffer.atomics.items()
            },
            stamped_keys=[
                replace(one, prefix=outside(one.prefix), above=self._core.calls.issued)
                for one in buffer.stamped_keys
            ],
            stamped_values={outside(key): parts for key, parts in buffer.stamped_values.items()},
            write_keys=sorted(map(outside, self._write_keys or ())),
            write_intervals=self._pairs(self._write_intervals or ()),
            alive_until=self._alive_until,
            size=buffer.bytes,
        )

    def _only_writes(self, buffer: WriteBuffer) -> bool:
        """Whether nothing was read, and keys were only set or deleted."""
        return not (
            self._read_keys
            or self._read_intervals
            or self._write_keys
            or self._write_intervals
            or self._view.drawn
            or self._alive_until
            or buffer.erased
            or buffer.atomics
            or buffer.stamped_keys
            or buffer.stamped_values
        )

    def _pairs(self, intervals: Iterable[KeyInterval]) -> list[Interval]:
        outside = self._core.outside
        return [(outside(begin), outside(end)) for begin, end in intervals]
