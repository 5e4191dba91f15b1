"""Every version of every key of a ledger, in the order of commit timestamps: a dumb database.

Nothing here is shared with the storage that is judged; it is dictionaries and bisection, meant
to be seen to be right. Keys are judged one by one; intervals by asking which keys ever were in
them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import NamedTuple

from fastness.testing.ledger import Add, Attempt, Effect, Erase, Extend, Set, StampKey, StampValue

FOREVER = (1 << 63) - 1


class Version(NamedTuple):
    """What a key holds from `begin` on: a value (`None`: absent), until it expires (0: never)."""

    begin: int
    value: bytes | None
    expires_at: int
    writer: int
    """The attempt that wrote it, -1 for what was there at first."""

    def at(self, timestamp: int) -> bytes | None:
        """What a reader at a timestamp sees of it."""
        return None if 0 < self.expires_at <= timestamp else self.value


ABSENT = Version(0, None, 0, -1)


def stamp(timestamp: int) -> bytes:
    """The versionstamp of a commit."""
    return timestamp.to_bytes(8, "big") + b"\x00\x00"


class Timeline:
    """Versions by key, applied in the order of timestamps; reads at the newest or at any."""

    def __init__(self) -> None:
        self.versions: dict[bytes, list[Version]] = {}
        self._present: list[bytes] = []
        """Keys whose newest version is a value, expired or not, in order."""
        self._known: list[bytes] | None = None

    # ------------------------------------------------------------------ the newest state

    def apply(self, attempt: Attempt, timestamp: int) -> None:
        """Commit everything an attempt wrote."""
        for effect in attempt.writes:
            self._apply(effect, timestamp, attempt.index)

    def remove(self, key: bytes, timestamp: int) -> None:
        """Commit what was written by nobody in particular: the key is gone."""
        self._put(key, Version(timestamp, None, 0, -1))

    def _apply(self, effect: Effect, timestamp: int, writer: int) -> None:
        kind = type(effect)
        if kind is Erase:
            begin, end = effect[0], effect[1]
            low = bisect_left(self._present, begin)
            high = bisect_left(self._present, end, low)  # type: ignore[type-var]  # bytes
            for key in self._present[low:high]:
                self._put(key, Version(timestamp, None, 0, writer))
            return
        key, value, expires_at = self.outcome(effect, timestamp)
        self._put(key, Version(timestamp, value, expires_at, writer))

    def outcome(self, effect: Effect, timestamp: int) -> tuple[bytes, bytes | None, int]:
        """Key, value and expiry that an effect on one key leaves, on top of the newest state."""
        match effect:
            case Set(key, value, expires_at):
                return key, value, expires_at
            case Add(key, amount):
                found = self.newest(key, timestamp) or bytes(8)
                total = int.from_bytes(found, "little", signed=True) + amount
                return key, total.to_bytes(8, "little", signed=True), 0
            case Extend(key, value):
                return key, (self.newest(key, timestamp) or b"") + value, 0
            case StampKey(prefix, value, suffix):
                return prefix + stamp(timestamp) + suffix, value, 0
            case StampValue(key, prefix, suffix):
                return key, prefix + stamp(timestamp) + suffix, 0
            case _:
                raise TypeError(f"{effect!r} changes no single key")

    def _put(self, key: bytes, version: Version) -> None:
        versions = self.versions.get(key)
        if versions is None:
            versions = self.versions[key] = []
            self._known = None
        present = bool(versions) and versions[-1].value is not None
        if versions and versions[-1].begin == version.begin:
            versions[-1] = version
        else:
            versions.append(version)
        if present and version.value is None:
            del self._present[bisect_left(self._present, key)]
        elif not present and version.value is not None:
            insort(self._present, key)

    def newest(self, key: bytes, timestamp: int) -> bytes | None:
        """What a reader at a timestamp at or above everything applied sees."""
        versions = self.versions.get(key)
        return versions[-1].at(timestamp) if versions else None

    def entries(self, begin: bytes, end: bytes, timestamp: int) -> list[tuple[bytes, bytes]]:
        """The entries of an interval that such a reader sees, in order."""
        low = bisect_left(self._present, begin)
        high = bisect_left(self._present, end, low)
        found = []
        for key in self._present[low:high]:
            value = self.versions[key][-1].at(timestamp)
            if value is not None:
                found.append((key, value))
        return found

    # ------------------------------------------------------------------ any moment

    def known(self, begin: bytes, end: bytes) -> Sequence[bytes]:
        """Every key of an interval that was ever written, in order."""
        known = self._known
        if known is None:
            known = self._known = sorted(self.versions)
        low = bisect_left(known, begin)
        return known[low : bisect_left(known, end, low)]

    def version(self, key: bytes, timestamp: int) -> Version:
        """The version of a key that a reader at a timestamp sees."""
        versions = self.versions.get(key, [])
        place = bisect_right(versions, timestamp, key=lambda one: one.begin)
        return versions[place - 1] if place else ABSENT

    def holds_from(self, key: bytes, value: bytes | None, timestamp: int) -> int:
        """The first moment at or after a timestamp when `key` shows `value`; `FOREVER`: never."""
        versions = self.versions.get(key)
        if not versions:
            return timestamp if value is None else FOREVER
        place = bisect_right(versions, timestamp, key=lambda one: one.begin)
        if place == 0 and value is None:
            return timestamp
        for at in range(max(place - 1, 0), len(versions)):
            version = versions[at]
            moment = max(timestamp, version.begin)
            if version.at(moment) == value:
                return moment
            ends = versions[at + 1].begin if at + 1 < len(versions) else FOREVER
            if value is None and 0 < version.expires_at < ends:
                return max(timestamp, version.expires_at)
        return FOREVER


def overlaid(
    found: list[tuple[bytes, bytes]], effects: Sequence[Effect], begin: bytes, end: bytes
) -> list[tuple[bytes, bytes]]:
    """The entries of [begin, end) with an attempt's own writes on top."""
    entries = dict(found)
    for effect in effects:
        match effect:
            case Erase(low, high):
                for key in [key for key in entries if low <= key < high]:
                    del entries[key]
            case Set(key, value) if begin <= key < end:
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            case Add(key, amount) if begin <= key < end:
                total = int.from_bytes(entries.get(key, bytes(8)), "little", signed=True) + amount
                entries[key] = total.to_bytes(8, "little", signed=True)
            case Extend(key, value) if begin <= key < end:
                entries[key] = entries.get(key, b"") + value
            case _:
                continue
    return sorted(entries.items())
