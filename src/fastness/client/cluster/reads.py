"""Reads over ranges: grouped by leaseholder, sent at once, corrected where the map was stale.

Everything is read at a timestamp, in which case the parts of several ranges belong together; or
as the latest, which has a meaning within one range only (CONSISTENCY, section 1.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from fastness.client.cluster.calls import Calls, Reply
from fastness.client.cluster.gathering import GatheredReads, Missed
from fastness.client.cluster.routing import Pace, Routes
from fastness.client.cluster.timestamps import Timestamps
from fastness.encoding.intervals import KeyInterval, successor
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Fenced, InvalidEncoding, Overloaded, RangeMoved, Unreachable
from fastness.limits import Limits
from fastness.placement.descriptors import Descriptor
from fastness.ranges.requests import Pending, Read, ReadAnswer, Scan
from fastness.storage.contract import Item
from fastness.wire.messages import Refusal
from fastness.wire.refusals import error_of

ELSEWHERE = (RangeMoved, Fenced, Unreachable)
"""Refusals after which another node, or the same one later, may answer."""


class Asked(NamedTuple):
    """Keys asked of one range, and where the answer comes."""

    keys: list[bytes]
    reply: asyncio.Future[Reply]


class Reader:
    """Reads of one client."""

    def __init__(
        self, calls: Calls, routes: Routes, timestamps: Timestamps, limits: Limits
    ) -> None:
        self._calls = calls
        self._routes = routes
        self._timestamps = timestamps
        self._limits = limits
        self._gathered = GatheredReads(calls, limits)

    async def cell(self, key: bytes, at: Timestamp) -> bytes | None:
        """The cell of a key as of `at`; 0: the latest."""
        descriptor = self._routes.serving(key)
        if descriptor is not None:
            # The hot path: one message at most, nothing kept beside it.
            cell = await self._gathered.ask(descriptor, key, at)
            if not isinstance(cell, Missed):
                return cell
            if type(cell.reply) is Pending and not at:
                # It waited once for a hot key: it goes on at a timestamp of its own.
                return await self.cell(key, await self._timestamps.read())
            if cell.alone:
                self.take(cell.reply)
        found = await self.cells([key], at)
        return found[key]

    async def cells(self, keys: Sequence[bytes], at: Timestamp) -> dict[bytes, bytes | None]:
        """The cells of keys as of `at`, from all their ranges at once."""
        found: dict[bytes, bytes | None] = {}
        missing = list(dict.fromkeys(keys))
        pace = Pace(self._calls, self._limits)
        while missing:
            groups, unknown = self.grouped(missing)
            asked: list[Asked] = []
            for descriptor, group in groups:
                try:
                    asked.append(Asked(group, self._ask(descriptor, group, at)))
                except Overloaded:
                    # More ranges than calls may be out: the others once these are answered.
                    if not asked:
                        raise
                    unknown += group
            missing, progress = unknown, False
            for group, future in asked:
                reply = await future
                if type(reply) is ReadAnswer and 0 < len(reply.cells) <= len(group):
                    # Where an answer had no room for all, the rest is asked for.
                    found.update(zip(group, reply.cells, strict=False))
                    missing += group[len(reply.cells) :]
                    progress = True
                elif type(reply) is Pending:
                    at = at or await self._timestamps.read()
                    missing += group
                else:
                    self.take(reply)
                    missing += group
            if missing and not progress:
                await self.rest(pace)
        return found

    def _ask(
        self, descriptor: Descriptor, keys: list[bytes], at: Timestamp
    ) -> asyncio.Future[Reply]:
        body = Read(descriptor.range_id, descriptor.generation, keys, None, at)
        return self._calls.ask(descriptor.holder, body)

    def grouped(
        self, keys: list[bytes]
    ) -> tuple[list[tuple[Descriptor, list[bytes]]], list[bytes]]:
        """Keys by the range that serves them, and those whose range is not known."""
        groups: dict[bytes, tuple[Descriptor, list[bytes]]] = {}
        unknown: list[bytes] = []
        for key in keys:
            descriptor = self._routes.serving(key)
            if descriptor is None:
                unknown.append(key)
            elif descriptor.begin in groups:
                groups[descriptor.begin][1].append(key)
            else:
                groups[descriptor.begin] = (descriptor, [key])
        return list(groups.values()), unknown

    async def scan(
        self, interval: KeyInterval, limit: int, at: Timestamp, *, reverse: bool
    ) -> list[Item]:
        """The first `limit` entries of an interval as of `at`, range after range."""
        items: list[Item] = []
        rest: KeyInterval | None = interval
        pace = Pace(self._calls, self._limits)
        while rest is not None and rest.begin < rest.end and len(items) < limit:
            descriptor = self._routes.piece(rest.begin, rest.end, reverse=reverse)
            if descriptor is None:
                await self.rest(pace)
                continue
            scan = clipped(descriptor, rest, limit - len(items), reverse=reverse)
            reply = await self._calls.ask(
                descriptor.holder, Read(descriptor.range_id, descriptor.generation, [], scan, at)
            )
            if type(reply) is not ReadAnswer:
                self.take(reply)
                await self.rest(pace)
                continue
            items += reply.entries
            rest = left_of(rest, scan, reply)
            pace = Pace(self._calls, self._limits)
        return items

    async def latest(
        self, keys: list[bytes], interval: KeyInterval | None, limit: int, *, reverse: bool
    ) -> ReadAnswer | None:
        """Keys, or a scan, as the latest; `None` where no single range answers all of it now."""
        first = keys[0] if interval is None else interval.begin
        descriptor = self._routes.serving(first)
        if descriptor is None:
            return None
        if any(not descriptor.begin <= key < descriptor.end for key in keys):
            return None
        scan = None
        if interval is not None:
            if interval.end > descriptor.end:
                return None
            scan = Scan(interval.begin, interval.end, limit, reverse)
        reply = await self._calls.ask(
            descriptor.holder, Read(descriptor.range_id, descriptor.generation, keys, scan)
        )
        if type(reply) is ReadAnswer and len(reply.cells) == len(keys):
            return reply if scan is None or reply.complete or len(reply.entries) >= limit else None
        if type(reply) is not Pending and type(reply) is not ReadAnswer:
            self.take(reply)
        return None

    def take(self, reply: Reply) -> None:
        """Learn from what was no answer; raises what asking again will not change."""
        if type(reply) is not Refusal:
            self._routes.refresh()
            return
        self._routes.correct(reply)
        error = error_of(reply)
        if not isinstance(error, ELSEWHERE):
            raise error

    async def rest(self, pace: Pace) -> None:
        """Let the map be corrected before asking again; `Unreachable` when time is over."""
        if pace.is_over or self._calls.is_closed:
            raise self._calls.unreachable(
                f"nobody answered for {self._limits.operation_ms} ms (operation_ms): nodes are "
                "down or cut off; nothing was done"
            )
        barred = self._calls.barred() if pace.has_tried else None
        if barred is not None:
            raise barred
        pause_ms = pace.pause_ms()
        if pause_ms:
            await self._routes.refreshed()
            await paused(self._calls, pause_ms)


async def paused(calls: Calls, milliseconds: float) -> None:
    """Wait this long by the process's own clock."""
    waiter: asyncio.Future[None] = calls.process.future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = calls.process.call_later(milliseconds, wake)
    try:
        await waiter
    finally:
        timer.cancel()


def clipped(descriptor: Descriptor, rest: KeyInterval, limit: int, *, reverse: bool) -> Scan:
    """The scan of what one range holds of an interval."""
    begin = max(rest.begin, descriptor.begin)
    end = min(rest.end, descriptor.end)
    return Scan(begin, end, limit, reverse)


def left_of(rest: KeyInterval, scan: Scan, answer: ReadAnswer) -> KeyInterval | None:
    """What is still to be read of an interval after one range's answer, `None`: nothing."""
    if answer.complete:
        left = (
            KeyInterval(rest.begin, scan.begin) if scan.reverse else KeyInterval(scan.end, rest.end)
        )
        return left if left.begin < left.end else None
    if not answer.entries:
        raise InvalidEncoding(
            f"a range answered a scan of [{scan.begin!r}, {scan.end!r}) with nothing, and says "
            "that there is more"
        )
    last = answer.entries[-1][0]
    if scan.reverse:
        return KeyInterval(rest.begin, last)
    return KeyInterval(successor(last), rest.end)
