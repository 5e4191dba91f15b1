"""Cutting what a transaction read and wrote at the borders of ranges. Pure.

A `Content` with everything in it is cut into one `Content` per range it touches. Intervals are
split where a range ends. Of a versionstamped key the stamp is not known yet, only that it comes
after all that its client knew of: it goes to the range of the least key it may be, which sees to it
that the commit falls below its end.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from msgspec.structs import replace

from fastness.encoding.intervals import KeyInterval
from fastness.placement.descriptors import Descriptor, RangeMap
from fastness.ranges.commit import Stamped
from fastness.ranges.requests import Content, Interval, intervals_of, places_of


class Part(NamedTuple):
    """What one range has to do with a transaction."""

    descriptor: Descriptor
    content: Content


def anchor_key(content: Content) -> bytes:
    """The first key written, in key order: where the transaction is decided."""
    begins = [write.key for write in content.writes]
    begins += content.atomics
    begins += content.stamped_values
    begins += content.write_keys
    begins += [begin for begin, _end in content.erased]
    begins += [begin for begin, _end in content.write_intervals]
    begins += [stamped.first for stamped in content.stamped_keys]
    return min(begins)


def written_keys(content: Content) -> list[bytes]:
    """Every single key written, or declared as written."""
    keys = [write.key for write in content.writes]
    keys += content.atomics
    keys += content.stamped_values
    keys += content.write_keys
    return keys


def written_intervals(content: Content) -> list[Interval]:
    """Every interval written, or declared as written."""
    stamps = [stamped.interval() for stamped in content.stamped_keys]
    return [*content.erased, *content.write_intervals, *stamps]


def cut(content: Content, ranges: RangeMap) -> list[Part] | None:
    """The parts in key order; `None` while some key's range is not known."""
    keys = places_of(content)
    intervals = intervals_of(content)
    if len(keys) == 1 and not intervals:
        holder = ranges.holder_of(keys[0])
        return None if holder is None else [Part(holder, content)]
    low = min(keys) if not intervals else min([*keys, *(begin for begin, _end in intervals)])
    first = ranges.holder_of(low)
    if first is None:
        return None
    end = first.end
    if (not keys or max(keys) < end) and all(last <= end for _begin, last in intervals):
        return [Part(first, content)]
    touched = _touched(keys, intervals, ranges)
    if touched is None:
        return None
    return [
        Part(descriptor, clip(content, descriptor.interval))
        for _begin, descriptor in sorted(touched.items())
    ]


def _touched(
    keys: list[bytes], intervals: list[Interval], ranges: RangeMap
) -> dict[bytes, Descriptor] | None:
    """The ranges of these keys and intervals by their begin; `None` where one is not known."""
    touched: dict[bytes, Descriptor] = {}
    for key in keys:
        descriptor = ranges.holder_of(key)
        if descriptor is None:
            return None
        touched[descriptor.begin] = descriptor
    for begin, end in intervals:
        reached = begin
        for descriptor in ranges.overlapping(KeyInterval(begin, end)):
            if descriptor.begin > reached:
                return None
            reached = descriptor.end
            touched[descriptor.begin] = descriptor
        if reached < end:
            return None
    return touched


def clip(content: Content, interval: KeyInterval) -> Content:
    """The part of a content that lies in an interval."""
    begin, end = interval
    writes = [write for write in content.writes if begin <= write.key < end]
    atomics = {key: chain for key, chain in content.atomics.items() if begin <= key < end}
    values = {key: parts for key, parts in content.stamped_values.items() if begin <= key < end}
    stamped = [
        replace(one, erased_before=_erased_before(one, content, interval))
        for one in content.stamped_keys
        if begin <= one.first < end
    ]
    return Content(
        read_timestamp=content.read_timestamp,
        read_keys=_between(content.read_keys, begin, end),
        read_intervals=_clipped(content.read_intervals, interval),
        writes=writes,
        erased=_clipped(content.erased, interval),
        atomics=atomics,
        stamped_keys=stamped,
        stamped_values=values,
        write_keys=_between(content.write_keys, begin, end),
        write_intervals=_clipped(content.write_intervals, interval),
        alive_until=content.alive_until,
        size=(
            sum([len(one.key) + len(one.value or b"") for one in writes])
            + sum([len(key) + sum(len(op[1]) for op in chain) for key, chain in atomics.items()])
            + sum([len(key) + len(a) + len(b) for key, (a, b) in values.items()])
            + sum([len(one.prefix) + len(one.suffix) + len(one.value) for one in stamped])
        ),
    )


def _between(ordered: list[bytes], begin: bytes, end: bytes) -> list[bytes]:
    low = bisect_left(ordered, begin)
    return ordered[low : bisect_left(ordered, end, low)]


def _clipped(intervals: list[Interval], bounds: KeyInterval) -> list[Interval]:
    begin, end = bounds
    return [
        (max(low, begin), min(high, end)) for low, high in intervals if low < end and begin < high
    ]


def _erased_before(stamped: Stamped, content: Content, bounds: KeyInterval) -> int:
    """How many of the intervals erased before the stamped write are left in the part."""
    return len(_clipped(content.erased[: stamped.erased_before], bounds))


def is_within(part: Content, wider: Content, interval: KeyInterval) -> bool:
    """Whether all that lies in `interval` of a wider content is in the part already."""
    return clip(wider, interval) == clip(part, interval)


__all__ = [
    "Part",
    "anchor_key",
    "clip",
    "cut",
    "is_within",
    "written_intervals",
    "written_keys",
]
