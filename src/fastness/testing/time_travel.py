"""Time travel: whoever reads at one timestamp, now or later, finds the same.

Every read at a known timestamp states a fact about that moment; facts about one moment must
agree, key by key and interval by interval, whoever stated them and whenever. No knowledge of
what was written is needed. Exact in that sense: it passes if and only if for each timestamp
some state gives all its answers.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Final

from fastness.testing._accusations import Accuser, report_on
from fastness.testing._ledger_words import shown_bytes, shown_moment
from fastness.testing.ledger import Attempt, Scanned
from fastness.testing.report import Report

_TITLES: Final = {"changed-past": "two reads at one timestamp differ"}


def check_time_travel(attempts: Sequence[Attempt]) -> Report:
    """Judge reads by their read timestamps; what an attempt read of its own writes is left out."""
    report = report_on("time-travel", attempts)
    moments: dict[int, _Moment] = {}
    for one in attempts:
        if one.read_timestamp:
            moment = moments.get(one.read_timestamp)
            if moment is None:
                moment = moments[one.read_timestamp] = _Moment(report, one.read_timestamp)
            moment.add(one)
    return report


class _Moment:
    """What is known of one timestamp."""

    def __init__(self, report: Report, timestamp: int) -> None:
        self.accuser = Accuser(report, _TITLES)
        self.timestamp = timestamp
        self.values: dict[bytes, tuple[bytes | None, Attempt]] = {}
        self.present: list[bytes] = []
        self.empty: list[tuple[Scanned, dict[bytes, bytes], Attempt]] = []
        """Intervals that were scanned: what else is in them is absent."""

    def add(self, one: Attempt) -> None:
        """Take in what an attempt found, comparing it with what is known."""
        for key, value in one.reads:
            self._point(key, value, one)
        for scan in (*one.scans, *one.loose):
            if not scan.after:
                self._interval(scan, one)

    def _point(self, key: bytes, value: bytes | None, one: Attempt) -> None:
        known = self.values.get(key)
        if known is None:
            other = self._scanned(key)
            if other is not None:
                known = (None, other)
        if known is not None and known[0] != value:
            self._accuse(key, value, one, *known)
        elif key not in self.values:
            self.values[key] = (value, one)
            if value is not None:
                insort(self.present, key)

    def _scanned(self, key: bytes) -> Attempt | None:
        """Who scanned over an absent key."""
        for scan, entries, one in self.empty:
            if scan.begin <= key < scan.end and key not in entries:
                return one
        return None

    def _interval(self, scan: Scanned, one: Attempt) -> None:
        entries = dict(scan.entries)
        low = bisect_left(self.present, scan.begin)
        for key in self.present[low : bisect_left(self.present, scan.end, low)]:
            if key not in entries:
                self._accuse(key, None, one, *self.values[key])
        for key, value in scan.entries:
            self._point(key, value, one)
        self.empty.append((scan, entries, one))

    def _accuse(
        self, key: bytes, value: bytes | None, one: Attempt, known: bytes | None, other: Attempt
    ) -> None:
        what = (
            f"at {shown_moment(self.timestamp)} {other.name} read {shown_bytes(key)} -> "
            f"{shown_bytes(known)}, and {one.name} read {shown_bytes(value)}"
        )
        self.accuser.accuse("changed-past", what, (other, one), key)
