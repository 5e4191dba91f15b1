"""Reads that carry no timestamp, from caches above all, held against real time key by key.

Every write has a commit timestamp, so the versions of a key are in a known order, and values are
unique, so a value read names its version. Then a key is a linearizable register if and only if
every read returns

* a version at least as new as each one acknowledged before the read began,
* at least as new as each one that a read returned which had ended before,
* and none whose write failed, or began after the read had ended;

and every write is newer than all versions acknowledged or read before it began.

Linear in the number of operations. Versions written by attempts of unknown outcome, whose
timestamp nobody knows, are left out of the order; reading one is no anomaly.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from fastness.testing._ledger_words import shown_attempt, shown_bytes, shown_moment
from fastness.testing.history import InvalidHistory, Outcome
from fastness.testing.ledger import Attempt, Set
from fastness.testing.report import Anomaly, Report

_TITLES: Final = {
    "stale-cached-read": "a read returned an older version than had been acknowledged before",
    "backward-cached-read": "a read returned an older version than one read before",
    "failed-cached-read": "a read returned what failed",
    "early-cached-read": "a read returned what had not begun to be written",
    "unwritten-cached-read": "a read returned what nobody wrote",
    "reordered-write": "a write is older than a version known before it began",
}


class _Known(NamedTuple):
    """The newest version of a key that somebody was told of, and who."""

    timestamp: int
    teller: Attempt | None


_NOTHING = _Known(0, None)


def check_cached_reads(attempts: Sequence[Attempt]) -> Report:
    """Judge the single-key reads of attempts against the writes of attempts.

    Writes are `Set`s of values unique for their key, deletions excepted: the last deletion
    before the next value stands for all. Raises `InvalidHistory` for a value written twice.
    """
    acknowledged = sum(one.outcome is Outcome.OK for one in attempts)
    report = Report("cached-reads", len(attempts), acknowledged, 0)
    writers = _writers(attempts)
    written: dict[bytes, list[tuple[int, bool, Attempt]]] = {}
    for one in attempts:
        for key in dict.fromkeys([*(key for key, _ in one.reads), *_keys_written(one)]):
            events = written.setdefault(key, [])
            events.append((one.invoked, False, one))
            if one.completed is not None:
                events.append((one.completed, True, one))
    for key, events in written.items():
        events.sort(key=itemgetter(0))
        _Key(report, key, writers.get(key, {})).judge(events)
    return report


def _keys_written(one: Attempt) -> list[bytes]:
    return [effect.key for effect in one.writes if isinstance(effect, Set)]


def _writers(attempts: Sequence[Attempt]) -> dict[bytes, dict[bytes | None, list[Attempt]]]:
    """By key and value, who wrote it; deletions by many."""
    writers: dict[bytes, dict[bytes | None, list[Attempt]]] = {}
    for one in attempts:
        for effect in one.writes:
            if isinstance(effect, Set):
                same = writers.setdefault(effect.key, {}).setdefault(effect.value, [])
                if same and effect.value is not None:
                    raise InvalidHistory(
                        f"{same[0].name} and {one.name} both wrote {shown_bytes(effect.value)} to "
                        f"{shown_bytes(effect.key)}; write each value once"
                    )
                same.append(one)
    return writers


class _Key:
    """The judgement on one key."""

    def __init__(
        self, report: Report, key: bytes, writers: dict[bytes | None, list[Attempt]]
    ) -> None:
        self.report = report
        self.key = key
        self.writers = writers

    def judge(self, events: Sequence[tuple[int, bool, Attempt]]) -> None:
        """Go through beginnings and ends, knowing what was told so far."""
        acknowledged, read = _NOTHING, _NOTHING
        begun: dict[int, tuple[_Known, _Known]] = {}
        for _, ends, one in events:
            if not ends:
                begun[one.index] = (acknowledged, read)
                continue
            if self.key in _keys_written(one) and one.outcome is Outcome.OK:
                self._judge_write(one, *begun[one.index])
                acknowledged = max(acknowledged, _Known(one.writes_at, one), key=itemgetter(0))
            for key, value in one.reads:
                if key == self.key:
                    self.report.reads += 1
                    seen = self._judge_read(one, value, *begun[one.index])
                    read = max(read, _Known(seen, one), key=itemgetter(0))

    def _judge_write(self, one: Attempt, acknowledged: _Known, read: _Known) -> None:
        """A write must be newer than every version known before it began."""
        due = max(acknowledged, read, key=itemgetter(0))
        if due.teller is not None and one.writes_at <= due.timestamp:
            what = (
                f"{one.name} wrote the version of {shown_moment(one.writes_at)}, although "
                f"{due.teller.name} knew of {shown_moment(due.timestamp)} before it began"
            )
            self._report("reordered-write", what, [one, due.teller])

    def _judge_read(
        self, one: Attempt, value: bytes | None, acknowledged: _Known, read: _Known
    ) -> int:
        """The timestamp of the version read, 0 where it says nothing."""
        due = max(acknowledged, read, key=itemgetter(0))
        candidates = self.writers.get(value, [])
        if value is None:
            return self._judge_absence(one, candidates, due, acknowledged)
        if not candidates:
            self._accuse("unwritten-cached-read", "which nobody wrote", one, value)
            return 0
        writer = candidates[0]
        if writer.outcome is Outcome.FAILED:
            self._accuse(
                "failed-cached-read", f"of {writer.name}, which failed", one, value, writer
            )
            return 0
        if one.completed is not None and writer.invoked > one.completed:
            what = f"of {writer.name}, which began later"
            self._accuse("early-cached-read", what, one, value, writer)
            return 0
        version = writer.writes_at
        if version and version < due.timestamp:
            self._accuse_age(one, value, version, due, acknowledged)
        return version

    def _judge_absence(
        self, one: Attempt, deletions: Sequence[Attempt], due: _Known, acknowledged: _Known
    ) -> int:
        """An absence is as old as the oldest deletion, or beginning, that may explain it."""
        if not due.timestamp:
            return 0
        unknown = False
        fitting = []
        for other in deletions:
            late = one.completed is not None and other.invoked > one.completed
            if other.outcome is Outcome.FAILED or late:
                continue
            unknown = unknown or not other.writes_at
            if other.writes_at >= due.timestamp:
                fitting.append(other.writes_at)
        if fitting:
            return min(fitting)
        if not unknown:
            self._accuse_age(one, None, 0, due, acknowledged)
        return 0

    def _accuse_age(
        self, one: Attempt, value: bytes | None, version: int, due: _Known, acknowledged: _Known
    ) -> None:
        name = "stale-cached-read" if due == acknowledged else "backward-cached-read"
        done = "was told of" if due == acknowledged else "had read"
        teller = due.teller
        age = f"the version of {shown_moment(version)}" if version else "an absence"
        what = (
            f"{age}, although {teller.name if teller else 'somebody'} {done} the one of "
            f"{shown_moment(due.timestamp)} before it began"
        )
        self._accuse(name, what, one, value, teller)

    def _accuse(
        self,
        name: str,
        what: str,
        one: Attempt,
        value: bytes | None,
        other: Attempt | None = None,
    ) -> None:
        involved = [one] if other is None or other is one else [one, other]
        text = f"{one.name} read {shown_bytes(self.key)} -> {shown_bytes(value)}, {what}"
        self._report(name, text, involved)

    def _report(self, name: str, what: str, involved: Sequence[Attempt]) -> None:
        lines = [what, *(f"    {shown_attempt(each, (self.key,))}" for each in involved)]
        indices = tuple(each.index for each in involved)
        key = shown_bytes(self.key)
        self.report.add(Anomaly(name, _TITLES[name], indices, (key,), "\n".join(lines)))
