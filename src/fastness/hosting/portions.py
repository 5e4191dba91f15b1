"""As much of a read as one answer has room for.

A client may ask for a thousand keys, or a page of a hundred thousand entries, of a mebibyte each.
An answer must fit a frame, and reading it must not keep everybody else waiting for long. So the
first of what was asked for is read, one key or entry at least, and who asked asks for the rest.
All is read at one timestamp, so portions of one scan belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastness.encoding.intervals import KeyInterval, successor
from fastness.encoding.timestamps import Timestamp
from fastness.ranges.requests import Scan
from fastness.storage.contract import Item, Store

KEYS_TOGETHER = 64
ENTRIES_FIRST = 64
"""What is read before its size is looked at."""


class Room(NamedTuple):
    """What an answer may hold: bytes of keys and values, and entries of a scan."""

    size: int
    entries: int


def cells_within(
    store: Store, keys: Sequence[bytes], at: Timestamp, room: int
) -> tuple[list[bytes | None], int]:
    """The cells of the first keys, and how much room is left; below 0 once there is none."""
    found: list[bytes | None] = []
    for begin in range(0, len(keys), KEYS_TOGETHER):
        part = store.get_many(keys[begin : begin + KEYS_TOGETHER], at)
        left = room - sum([len(cell) for cell in part if cell is not None])
        if left < 0:
            for cell in part:
                room -= 0 if cell is None else len(cell)
                if room < 0 and found:
                    break
                found.append(cell)
            return found, -1
        found += part
        room = left
    return found, room


def entries_within(store: Store, scan: Scan, at: Timestamp, room: Room) -> tuple[list[Item], bool]:
    """The first entries, and whether the room ended before the scan did."""
    size, entries = room
    found: list[Item] = []
    rest = KeyInterval(scan.begin, scan.end)
    left = min(scan.limit, entries)
    step = min(left, ENTRIES_FIRST)
    while True:
        part = store.scan(rest, at=at, limit=step, reverse=scan.reverse)
        used = sum([len(key) + len(cell) for key, cell in part])
        if used > size:
            return found + fitting(part, size, at_least=not found), True
        found += part
        size -= used
        left -= len(part)
        if len(part) < step:
            return found, False
        if not left:
            return found, len(found) < scan.limit
        last = part[-1][0]
        rest = (
            KeyInterval(rest.begin, last)
            if scan.reverse
            else KeyInterval(successor(last), rest.end)
        )
        # As many more as fit if they are like these.
        step = max(1, min(left, size * len(part) // max(1, used)))


def fitting(part: list[Item], size: int, *, at_least: bool) -> list[Item]:
    """The first entries that fit in so many bytes; one at least where that is asked for."""
    for place, (key, cell) in enumerate(part):
        size -= len(key) + len(cell)
        if size < 0:
            return part[: max(place, at_least)]
    return part
