"""The near cache in front of a client's reads: fills, renewals, and notices of invalidation.

`fastness.cache.NearCache` decides what may be served; here are the messages. A notice is
acknowledged only after what it names was dropped, and always, whether or not there was
anything to drop: the commit behind it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fastness.cache import CachedKey, CachedScan, Fill, HeldLease, NearCache
from fastness.client.cluster.calls import Calls, Reply
from fastness.client.cluster.reads import Reader, clipped, left_of
from fastness.client.cluster.routing import Pace, Routes
from fastness.client.cluster.timestamps import Timestamps
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, Overloaded
from fastness.limits import Limits
from fastness.placement.descriptors import Descriptor
from fastness.ranges.requests import (
    Grant,
    Invalidate,
    InvalidateAck,
    Pending,
    Read,
    ReadAnswer,
    RenewCache,
    Scan,
)
from fastness.runtime.process import Address
from fastness.storage import cells
from fastness.storage.contract import Item
from fastness.wire.messages import Body, Refusal

UNKNOWN: Timestamp = (1 << 63) - 1
"""Valid from no timestamp that a reader could have."""


class Latest(NamedTuple):
    """The newest cell of a key, and since when it has been that."""

    cell: bytes | None
    valid_from: Timestamp


class Asked(NamedTuple):
    """A latest read that is out."""

    keys: list[bytes]
    fill: Fill | None
    """`None` where a commit of this client writes some of it just now."""
    reply: asyncio.Future[Reply]


class CachedReads:
    """Reads through the near cache of one client."""

    def __init__(
        self,
        calls: Calls,
        routes: Routes,
        timestamps: Timestamps,
        reader: Reader,
        limits: Limits,
    ) -> None:
        """Take the notices of `calls` from now on."""
        self._timestamps = timestamps
        self.near = NearCache(limits)
        self._calls = calls
        self._routes = routes
        self._reader = reader
        self._limits = limits
        self._clock = calls.process.clock
        self._renewing: dict[int, None] = {}
        self.on_grant: Callable[[], None] | None = None
        """Called when something was granted to be kept."""
        calls.noticed = self._noticed

    # ----------------------------------------------------------------- serving

    def find(self, key: bytes) -> CachedKey | None:
        """The entry of a key, if it may be served at this instant."""
        now_ns = self._clock.boot_ns()
        entry = self.near.find(key, now_ns)
        if entry is not None and entry.lease.wants_renewal(now_ns):
            self.renew(entry.lease, key)
        return entry

    def find_scans(
        self, interval: KeyInterval, limit: int, *, reverse: bool
    ) -> list[CachedScan] | None:
        """Cached scans that together hold the first `limit` entries of the interval."""
        found: list[CachedScan] = []
        rest: KeyInterval | None = interval
        entries = 0
        while rest is not None and entries < limit:
            descriptor = self._routes.piece(rest.begin, rest.end, reverse=reverse)
            if descriptor is None:
                return None
            entry = self._find_scan(clipped(descriptor, rest, limit - entries, reverse=reverse))
            if entry is None:
                return None
            found.append(entry)
            entries += len(entry.items)
            rest = beyond(rest, entry, reverse=reverse)
        return found

    def _find_scan(self, scan: Scan) -> CachedScan | None:
        now_ns = self._clock.boot_ns()
        entry = self.near.find_scan(scan.begin, scan.end, scan.limit, now_ns, reverse=scan.reverse)
        if entry is not None and entry.lease.wants_renewal(now_ns):
            self.renew(entry.lease, scan.begin)
        return entry

    def all_valid(self, entries: Sequence[CachedKey | CachedScan]) -> bool:
        """Whether all of these may still be served at this instant."""
        return self.near.all_valid(entries, self._clock.boot_ns())

    # ----------------------------------------------------------------- filling

    async def latest(self, keys: Sequence[bytes]) -> dict[bytes, Latest]:
        """The newest cells of keys, cached as far as their ranges grant it."""
        found: dict[bytes, Latest] = {}
        missing = list(dict.fromkeys(keys))
        hot: list[bytes] = []
        pace = Pace(self._calls, self._limits)
        while missing:
            groups, missing = self._reader.grouped(missing)
            asked: list[Asked] = []
            progress = False
            try:
                missing += self._send_some(groups, asked)
                for one in asked:
                    reply = await one.reply
                    answer = self._filled(one, reply)
                    if answer is not None:
                        found.update(_latest(one.keys, answer))
                        missing += one.keys[len(answer.cells) :]
                        progress = True
                    elif type(reply) is Pending:
                        hot += one.keys
                    else:
                        missing += one.keys
            finally:
                for one in asked:
                    self._abandon(one)
            if missing and not progress:
                await self._reader.rest(pace)
        if hot:
            found.update(await self._at_own_timestamp(hot))
        return found

    def _send_some(
        self, groups: Sequence[tuple[Descriptor, list[bytes]]], asked: list[Asked]
    ) -> list[bytes]:
        """Ask as many as there is room for calls; the keys of the others, to be asked after."""
        left: list[bytes] = []
        for descriptor, group in groups:
            try:
                asked.append(self._send(descriptor, group, None))
            except Overloaded:
                if not asked:
                    raise
                left += group
        return left

    async def _at_own_timestamp(self, keys: list[bytes]) -> dict[bytes, Latest]:
        """What was being written all the time is read at a timestamp drawn now, and not kept."""
        at = await self._timestamps.read()
        cells_at = await self._reader.cells(keys, at)
        return {
            key: Latest(cell, at if cell is None else cells.timestamp_of(cell))
            for key, cell in cells_at.items()
        }

    async def scan(
        self, interval: KeyInterval, limit: int, at: Timestamp, *, reverse: bool
    ) -> list[Item]:
        """The first `limit` entries as of `at`, from the cache where it serves that moment."""
        items: list[Item] = []
        rest: KeyInterval | None = interval
        pace = Pace(self._calls, self._limits)
        while rest is not None and len(items) < limit:
            descriptor = self._routes.piece(rest.begin, rest.end, reverse=reverse)
            if descriptor is None:
                await self._reader.rest(pace)
                continue
            scan = clipped(descriptor, rest, limit - len(items), reverse=reverse)
            entry = self._find_scan(scan)
            if entry is not None and entry.valid_from <= at:
                items += entry.items[: scan.limit]
                rest = beyond(rest, entry, reverse=reverse)
                continue
            answer = await self._fill(descriptor, scan)
            if answer is None or answer.grant is None or answer.grant.valid_from > at:
                piece = KeyInterval(scan.begin, scan.end)
                found = await self._reader.scan(piece, scan.limit, at, reverse=reverse)
                answer = ReadAnswer([], found, len(found) < scan.limit, at)
            items += answer.entries
            rest = left_of(rest, scan, answer)
        return items

    async def _fill(self, descriptor: Descriptor, scan: Scan) -> ReadAnswer | None:
        """One latest scan of one range, to be cached; `None`: not answered as that."""
        asked = self._send(descriptor, [], scan)
        try:
            return self._filled(asked, await asked.reply)
        finally:
            self._abandon(asked)

    def _send(self, descriptor: Descriptor, keys: list[bytes], scan: Scan | None) -> Asked:
        now_ns = self._clock.boot_ns()
        fill = self.near.begin(descriptor.range_id, keys, scan, now_ns)
        cache = fill is not None
        lease = self.near.lease_of(descriptor.range_id, now_ns) if cache else 0
        body = Read(
            descriptor.range_id, descriptor.generation, keys, scan, cache=cache, lease=lease
        )
        try:
            return Asked(keys, fill, self._calls.ask(descriptor.holder, body))
        except FastnessError:
            self.near.abandon(fill)
            raise

    def _filled(self, asked: Asked, reply: Reply) -> ReadAnswer | None:
        if type(reply) is Pending:
            return None
        if type(reply) is not ReadAnswer or len(reply.cells) > len(asked.keys):
            self._reader.take(reply)
            return None
        if len(reply.cells) < len(asked.keys):
            # There was no room for all: what came is used and not kept.
            return reply if reply.cells else None
        if asked.fill is not None:
            kept = self.near.finish(
                asked.fill,
                reply.grant,
                reply.cells,
                reply.entries,
                complete=reply.complete,
                now_ns=self._clock.boot_ns(),
            )
            if kept and self.on_grant is not None:
                self.on_grant()
        return reply

    def _abandon(self, asked: Asked) -> None:
        """Forget a fill that was not answered (no more than that, where it was)."""
        self.near.abandon(asked.fill)

    # ---------------------------------------------------------------- messages

    def renew(self, lease: HeldLease, key: bytes) -> None:
        """Ask for the lease of a key to last longer: the first hit in its second half does."""
        descriptor = self._routes.serving(key)
        if (
            lease.range_id in self._renewing
            or descriptor is None
            or descriptor.range_id != lease.range_id
        ):
            return
        sent_ns = self._clock.boot_ns()

        def answered(reply: Reply) -> None:
            self._renewing.pop(lease.range_id, None)
            if type(reply) is Grant:
                self.near.granted(lease.range_id, reply, sent_ns, self._clock.boot_ns())
            elif type(reply) is Refusal:
                self._routes.correct(reply)

        body = RenewCache(descriptor.range_id, descriptor.generation, lease.lease)
        self._renewing[lease.range_id] = None
        try:
            self._calls.call(descriptor.holder, body, answered)
        except FastnessError:
            # Nothing is lost but the renewal: a later hit asks again.
            self._renewing.pop(lease.range_id, None)

    def _noticed(self, sender: Address, body: Body) -> None:
        if type(body) is not Invalidate:
            self._calls.counts.misrouted += 1
            return
        self.near.invalidate(body)
        self._calls.notice(
            sender, InvalidateAck(body.range_id, body.epoch, body.lease, body.number)
        )


def _latest(keys: list[bytes], answer: ReadAnswer) -> dict[bytes, Latest]:
    """Cells, and since when each has been the newest one, as far as the answer tells."""
    since = UNKNOWN if answer.grant is None else answer.grant.valid_from
    return {
        key: Latest(cell, since if cell is None else cells.timestamp_of(cell))
        for key, cell in zip(keys, answer.cells, strict=False)
    }


def beyond(rest: KeyInterval, entry: CachedScan, *, reverse: bool) -> KeyInterval | None:
    """What is left of an interval behind a cached scan at its front."""
    if reverse:
        left = KeyInterval(rest.begin, entry.covered.begin)
    else:
        left = KeyInterval(entry.covered.end, rest.end)
    return left if left.begin < left.end else None
