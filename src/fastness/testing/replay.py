"""Replay: play a ledger again in timestamp order against a dictionary, and compare every answer.

Strict serializability with the order given. A database that issues timestamps names the order
it claims: each commit at its commit timestamp, each snapshot at its read timestamp. Then no search
is needed, and nothing escapes:

1. what an attempt read is what all commits at or below its read timestamp left behind, whether it
   committed or failed;
2. for an attempt that committed writes, its reads are still true just below its commit timestamp;
3. timestamps agree with real time: what begins after something was acknowledged stands above it;
4. attempts that were told no read timestamp (cached and latest reads) saw what was true at one
   single moment, at or above everything acknowledged before they began, and below whatever begins
   after they ended.

Linear in what was read and written, except that an interval costs what is in it. The order is
total, so this is exact where all timestamps are known: a ledger passes if and only if the
order its timestamps name explains it. Writes of attempts whose outcome stayed unknown (and that
`Attempt.resolve` could not settle) make their keys unjudged: nothing is accused for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final

from fastness.testing._ledger_words import shown_attempt, shown_bytes, shown_moment, shown_version
from fastness.testing._timeline import FOREVER, Timeline, Version, overlaid
from fastness.testing.history import Outcome
from fastness.testing.ledger import (
    Add,
    Attempt,
    Effect,
    Erase,
    Extend,
    Scanned,
    Set,
    StampKey,
    StampValue,
)
from fastness.testing.report import Anomaly, Report

_COMMIT, _READ = 0, 1

_TITLES: Final = {
    "duplicate-timestamp": "two commits have one timestamp",
    "wrong-snapshot": "a read disagrees with the commits at or below its read timestamp",
    "overtaken-read": "something read was no longer true at the commit timestamp",
    "stale-snapshot": "a read timestamp lies below what had been acknowledged before",
    "reordered-commit": "a commit timestamp lies below what had been acknowledged before",
    "own-write-unseen": "an attempt did not find what it had written itself",
    "stale-read": "no moment that real time allows shows what was read",
}


def check_replay(attempts: Sequence[Attempt], *, complete: bool = True) -> Report:
    """Judge a ledger (`Ledger.attempts`); see the module's page.

    Keys are absent at first. `complete=False` says that keys were written by others too, which
    the ledger does not know: then reads are not compared, only timestamps with real time.
    """
    return _Replay(attempts, judges_reads=complete).run()


class _Replay:
    """One replay."""

    def __init__(self, attempts: Sequence[Attempt], *, judges_reads: bool) -> None:
        self.attempts = {one.index: one for one in attempts}
        self.timeline = Timeline()
        self.judges_reads = judges_reads
        acknowledged = [one for one in attempts if one.outcome is Outcome.OK]
        reads = sum(len(one.reads) + len(one.scans) + len(one.loose) for one in attempts)
        self.report = Report("replay", len(attempts), len(acknowledged), reads)
        self.unjudged = _Unjudged(attempts)

    def run(self) -> Report:
        """Replay all, then hold the timestamps against real time."""
        self._replay()
        self._hold_against_real_time()
        return self.report

    # ------------------------------------------------------------ in timestamp order

    def _replay(self) -> None:
        moments: list[tuple[int, int, int, Attempt]] = []
        for one in self.attempts.values():
            if one.writes_at:
                moments.append((one.writes_at, _COMMIT, one.index, one))
            if one.read_timestamp and (one.reads or one.scans or one.loose):
                moments.append((one.read_timestamp, _READ, one.index, one))
        moments.sort(key=itemgetter(0, 1, 2))
        before: Attempt | None = None
        for timestamp, kind, _, one in moments:
            if kind == _READ:
                self._compare_snapshot(one, timestamp)
                continue
            if before is not None and before.writes_at == timestamp:
                self._accuse("duplicate-timestamp", (before, one), shown_moment(timestamp))
            before = one
            self._compare(one, one.reads, one.scans, timestamp, "overtaken-read")
            self.timeline.apply(one, timestamp)

    def _compare_snapshot(self, one: Attempt, timestamp: int) -> None:
        self._compare(one, one.reads, one.scans, timestamp, "wrong-snapshot")
        if one.loose:
            self._compare(one, (), one.loose, timestamp, "wrong-snapshot")

    def _compare(
        self,
        one: Attempt,
        reads: Sequence[tuple[bytes, bytes | None]],
        scans: Sequence[Scanned],
        timestamp: int,
        name: str,
    ) -> None:
        """Compare what was read with what the newest state shows at a timestamp."""
        if not self.judges_reads:
            return
        versions = self.timeline.versions
        for key, found in reads:
            known = versions.get(key)
            due = known[-1].at(timestamp) if known else None
            if due != found and not self.unjudged.key(key):
                self._accuse_read(name, one, key, found, timestamp)
        for scan in scans:
            entries = self.timeline.entries(scan.begin, scan.end, timestamp)
            if scan.after:
                entries = overlaid(entries, one.writes[: scan.after], scan.begin, scan.end)
            if len(entries) != len(scan.entries) or tuple(entries) != scan.entries:
                self._accuse_scan(name, one, scan, entries, timestamp)

    # -------------------------------------------------------------------- real time

    def _hold_against_real_time(self) -> None:
        """Go through beginnings and ends; `frontier` stands at the highest moment acknowledged."""
        events: list[tuple[int, bool, Attempt]] = []
        for one in self.attempts.values():
            events.append((one.invoked, False, one))
            if one.completed is not None:
                events.append((one.completed, True, one))
        events.sort(key=itemgetter(0))
        frontier, holder = 0, None
        places: dict[int, int] = {}
        for _, ends, one in events:
            if not ends:
                places[one.index] = self._place(one, frontier, holder)
            elif places[one.index] > frontier and places[one.index] != FOREVER:
                frontier, holder = places[one.index], one

    def _place(self, one: Attempt, frontier: int, holder: Attempt | None) -> int:
        """The moment an attempt counts at once it has ended, held against what ended before."""
        committed = one.writes_at
        if one.past:
            return 0
        if one.read_timestamp and one.read_timestamp < frontier:
            self._accuse_order("stale-snapshot", one, one.read_timestamp, holder)
        if committed and committed <= frontier:
            self._accuse_order("reordered-commit", one, committed, holder)
        if committed and one.outcome is Outcome.OK:
            return committed
        if committed or one.read_timestamp:
            return one.read_timestamp
        return self._place_freely(one, frontier, holder)

    def _place_freely(self, one: Attempt, frontier: int, holder: Attempt | None) -> int:
        """The first moment from the frontier on at which everything read is true."""
        if not self.judges_reads or not (one.reads or one.scans or one.loose):
            return 0
        for scan in one.scans:
            self._require_own(one, scan)
        if any(self.unjudged.scan(scan) for scan in (*one.scans, *one.loose)):
            return 0
        reads = [(key, found) for key, found in one.reads if not self.unjudged.key(key)]
        for scan in (*one.scans, *one.loose):
            reads += self._points(scan, one.writes[: scan.after])
        moment = frontier
        while True:
            settled = moment
            for key, found in reads:
                holds = self.timeline.holds_from(key, found, moment)
                if holds == FOREVER:
                    self._accuse_free(one, (key, found), moment, frontier, holder)
                    return FOREVER
                moment = max(moment, holds)
            if moment == settled:
                return moment

    def _require_own(self, one: Attempt, scan: Scanned) -> None:
        """Accuse a scan that does not show what its own attempt had set and erased before it.

        Doing that once more to what was found must change nothing.
        """
        own = one.writes[: scan.after]
        if not all(isinstance(effect, Set | Erase) for effect in own):
            return
        due = dict(overlaid(list(scan.entries), own, scan.begin, scan.end))
        found = dict(scan.entries)
        wrong = _unlike(found, due)
        if wrong:
            what = f"{one.name} found {shown_bytes(wrong[0])} -> {shown_bytes(found.get(wrong[0]))}"
            what += f", and had itself left {shown_bytes(due.get(wrong[0]))} there"
            self._accuse("own-write-unseen", (one,), what, wrong[0])

    def _points(self, scan: Scanned, own: Sequence[Effect]) -> list[tuple[bytes, bytes | None]]:
        """A scan as point reads: its entries, and the absence of every other key known.

        What the attempt's own earlier writes touch says nothing of the state below them.
        """
        entries = dict(scan.entries)
        known = self.timeline.known(scan.begin, scan.end)
        absent = [(key, None) for key in known if key not in entries]
        points = [*entries.items(), *absent]
        return [point for point in points if not own or not _touched(own, point[0])]

    # ------------------------------------------------------------------ explanations

    def _accuse(
        self, name: str, involved: Iterable[Attempt | None], what: str, *keys: bytes
    ) -> None:
        """Report; `what` is the first line, the attempts involved follow."""
        if self.report.full(name):
            self.report.counts[name] += 1
            return
        kept: dict[int, Attempt] = {one.index: one for one in involved if one is not None}
        lines = [what, *(f"    {shown_attempt(one, keys)}" for one in kept.values())]
        named = tuple(shown_bytes(key) for key in keys)
        self.report.add(Anomaly(name, _TITLES[name], tuple(kept), named, "\n".join(lines)))

    def _accuse_read(
        self, name: str, one: Attempt, key: bytes, found: bytes | None, timestamp: int
    ) -> None:
        known = self.timeline.versions.get(key)
        due = known[-1] if known else Version(0, None, 0, -1)
        what = (
            f"{one.name} read {shown_bytes(key)} -> {shown_bytes(found)}, but at "
            f"{self._moment_of(name, timestamp)} it holds {self._version(due, timestamp)}; "
            f"{self._origin(key, found)}"
        )
        self._accuse(name, (one, *self._writers(key, found, due)), what, key)

    def _accuse_scan(
        self,
        name: str,
        one: Attempt,
        scan: Scanned,
        entries: Sequence[tuple[bytes, bytes]],
        timestamp: int,
    ) -> None:
        found, due = dict(scan.entries), dict(entries)
        wrong = _unlike(found, due)
        judged = [key for key in wrong if not self.unjudged.key(key)]
        if scan.entries != tuple(sorted(scan.entries)) or len(found) != len(scan.entries):
            judged = judged or [scan.begin]
        if not judged:
            return
        key = judged[0]
        known = self.timeline.versions.get(key)
        newest = known[-1] if known else Version(0, None, 0, -1)
        what = (
            f"{one.name} found {len(scan.entries)} entries in [{shown_bytes(scan.begin)}, "
            f"{shown_bytes(scan.end)}), {len(judged)} of them wrong or missing at "
            f"{self._moment_of(name, timestamp)}; the first is {shown_bytes(key)} -> "
            f"{shown_bytes(found.get(key))}, which holds {self._version(newest, timestamp)}; "
            f"{self._origin(key, found.get(key))}"
        )
        self._accuse(name, (one, *self._writers(key, found.get(key), newest)), what, key)

    def _accuse_order(
        self, name: str, one: Attempt, timestamp: int, holder: Attempt | None
    ) -> None:
        what = f"{one.name} stands at {shown_moment(timestamp)}"
        if holder is not None:
            what += f", but {holder.name}, which had ended before it began, stands above"
        self._accuse(name, (one, holder), what)

    def _accuse_free(
        self,
        one: Attempt,
        read: tuple[bytes, bytes | None],
        moment: int,
        frontier: int,
        holder: Attempt | None,
    ) -> None:
        key, found = read
        due = self.timeline.version(key, moment)
        reason = f"from {shown_moment(frontier)} on, where "
        reason += f"{holder.name} stands that had ended before" if holder else "all begins"
        if moment != frontier:
            reason = f"from {shown_moment(moment)} on, when its other reads became true"
        what = (
            f"{one.name} read {shown_bytes(key)} -> {shown_bytes(found)}, which is true at no "
            f"moment {reason}: then it holds {self._version(due, moment)}; "
            f"{self._origin(key, found)}"
        )
        self._accuse("stale-read", (one, holder, *self._writers(key, found, due)), what, key)

    def _moment_of(self, name: str, timestamp: int) -> str:
        which = "its commit timestamp" if name == "overtaken-read" else "its read timestamp"
        return f"{which} {shown_moment(timestamp)}"

    def _version(self, version: Version, timestamp: int) -> str:
        return shown_version(version, timestamp)

    def _writers(self, key: bytes, found: bytes | None, due: Version) -> list[Attempt]:
        """Who wrote what was found, and what should have been."""
        written = [one for one in self.attempts.values() if _wrote(one, key, found)][:2]
        if due.writer in self.attempts:
            written.append(self.attempts[due.writer])
        return written

    def _origin(self, key: bytes, found: bytes | None) -> str:
        for version in self.timeline.versions.get(key, ()):
            if version.value == found and found is not None:
                return f"what it read was written at {shown_moment(version.begin)}"
        if found is None:
            return "it read an absence"
        writers = [one for one in self.attempts.values() if _wrote(one, key, found)]
        if writers:
            return f"what it read was written by {writers[0].name}, which had not committed by then"
        return "nobody wrote what it read"


def _touched(effects: Sequence[Effect], key: bytes) -> bool:
    """Whether writes decide, or change, what their attempt sees of a key."""
    return any(
        effect.begin <= key < effect.end
        if isinstance(effect, Erase)
        else getattr(effect, "key", None) == key
        for effect in effects
    )


def _unlike(found: dict[bytes, bytes], due: dict[bytes, bytes]) -> list[bytes]:
    """The keys at which two states differ, in order."""
    return [key for key in sorted({*found, *due}) if found.get(key) != due.get(key)]


def _wrote(one: Attempt, key: bytes, value: bytes | None) -> bool:
    """Whether an attempt gave a key just that value."""
    return value is not None and any(
        type(effect) is Set and effect.key == key and effect.value == value for effect in one.writes
    )


class _Unjudged:
    """Keys that somebody may have written, nobody knows whether."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self._keys: set[bytes] = set()
        self._intervals: list[tuple[bytes, bytes]] = []
        for one in attempts:
            if one.outcome is not Outcome.FAILED and one.writes and not one.commit_timestamp:
                for effect in one.writes:
                    match effect:
                        case Erase(begin, end):
                            self._intervals.append((begin, end))
                        case StampKey(prefix):
                            self._intervals.append((prefix, prefix + b"\xff"))
                        case Set(key) | Add(key) | Extend(key) | StampValue(key):
                            self._keys.add(key)

    def key(self, key: bytes) -> bool:
        """Whether nothing can be said of a key."""
        return key in self._keys or any(begin <= key < end for begin, end in self._intervals)

    def scan(self, scan: Scanned) -> bool:
        """Whether nothing can be said of some key of an interval."""
        return any(scan.begin <= key < scan.end for key in self._keys) or any(
            begin < scan.end and end > scan.begin for begin, end in self._intervals
        )
