"""Journals: entries under versionstamped keys, in commit order, that replay to the state.

Each entry lies under prefix + versionstamp, and holds a key and the value its transaction gave it
(`entry_of`). So

1. a scan finds every entry at or below its timestamp: one that anybody ever found between the
   edges of a scan, stamped at or below the timestamp of that scan, is in it (so nothing is
   missing between two pages, and nothing appears behind a reader who went on);
2. an acknowledged attempt's entry bears its commit timestamp;
3. an attempt that read a whole journal, and keys that only the journal's transactions write, finds
   in each key what its last entry says.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from fastness.testing._accusations import Accuser, report_on
from fastness.testing._ledger_words import shown_bytes, shown_moment
from fastness.testing.history import Outcome
from fastness.testing.ledger import Attempt, Scanned, StampKey
from fastness.testing.report import Report

STAMP_BYTES: Final = 10

_TITLES: Final = {
    "missing-entry": "a journal lacks an entry that was committed at or below the snapshot",
    "late-entry": "a journal shows an entry above its snapshot",
    "wrong-stamp": "an entry's stamp is not the commit timestamp that was acknowledged",
    "unwritten-entry": "a journal holds what nobody wrote, or what failed",
    "diverged-state": "the journal does not replay to the state beside it",
}


def entry_of(key: bytes, value: bytes) -> bytes:
    """The entry that says `key` was given `value`."""
    return len(key).to_bytes(2, "big") + key + value


def entry_parts(entry: bytes) -> tuple[bytes, bytes]:
    """Key and value of an entry."""
    end = 2 + int.from_bytes(entry[:2], "big")
    return entry[2:end], entry[end:]


def check_journals(attempts: Sequence[Attempt], prefixes: Sequence[bytes]) -> Report:
    """Judge the scans of the journals below the prefixes, and their writers."""
    report = report_on("journals", attempts)
    accuser = Accuser(report, _TITLES)
    for prefix in prefixes:
        _Journal(accuser, prefix, attempts).judge()
    return report


class _Journal:
    """The judgement on one journal."""

    def __init__(self, accuser: Accuser, prefix: bytes, attempts: Sequence[Attempt]) -> None:
        self.accuser = accuser
        self.prefix = prefix
        self.writers: dict[bytes, Attempt] = {}
        """By entry, who wrote it; entries are unique."""
        self.scans: list[tuple[Scanned, Attempt]] = []
        for one in attempts:
            for effect in one.writes:
                if isinstance(effect, StampKey) and effect.prefix == prefix:
                    self.writers[effect.value] = one
            for scan in one.scans:
                if scan.begin.startswith(prefix) and not scan.after and one.read_timestamp:
                    self.scans.append((scan, one))

    def judge(self) -> None:
        """Everything about this journal."""
        known: dict[bytes, bytes] = {}
        for scan, one in self.scans:
            for key, entry in scan.entries:
                if key not in known:
                    known[key] = entry
                    self._judge_entry(key, entry, one)
        ordered = sorted(known)
        for scan, one in self.scans:
            found = dict(scan.entries)
            low = bisect_left(ordered, scan.begin)
            for key in ordered[low : bisect_left(ordered, scan.end, low)]:
                due = self._stamp(key) <= one.read_timestamp
                if due and key not in found:
                    writer = self.writers.get(known[key])
                    what = self._at(one, key, known[key]) + ", which it did not find"
                    self.accuser.accuse("missing-entry", what, (one, writer), key)
                elif not due and key in found:
                    what = self._at(one, key, found[key]) + ", which it found"
                    self.accuser.accuse("late-entry", what, (one,), key)
            self._judge_state(scan, one)

    def _stamp(self, key: bytes) -> int:
        """The commit timestamp in a key."""
        return int.from_bytes(key[len(self.prefix) :][: STAMP_BYTES - 2], "big")

    def _at(self, one: Attempt, key: bytes, entry: bytes) -> str:
        stamp = shown_moment(self._stamp(key))
        return (
            f"{one.name} read {shown_bytes(self.prefix)} at {shown_moment(one.read_timestamp)}; "
            f"{shown_bytes(key)} of {stamp} is {shown_bytes(entry)}"
        )

    def _judge_entry(self, key: bytes, entry: bytes, one: Attempt) -> None:
        writer = self.writers.get(entry)
        if writer is None or writer.outcome is Outcome.FAILED:
            who = "nobody wrote" if writer is None else f"{writer.name} wrote, which failed"
            what = f"{one.name} found {shown_bytes(key)} -> {shown_bytes(entry)}, which {who}"
            self.accuser.accuse("unwritten-entry", what, (one, writer), key)
        elif writer.writes_at not in (0, self._stamp(key)):
            what = (
                f"{one.name} found {shown_bytes(key)} -> {shown_bytes(entry)}, stamped "
                f"{shown_moment(self._stamp(key))}, but {writer.name} was told "
                f"{shown_moment(writer.writes_at)}"
            )
            self.accuser.accuse("wrong-stamp", what, (one, writer), key)

    def _judge_state(self, scan: Scanned, one: Attempt) -> None:
        """Replay a whole journal, and compare with the keys read beside it."""
        if scan.begin != self.prefix or scan.end < self.prefix + b"\x80":
            return
        state = dict(entry_parts(entry) for _, entry in scan.entries)
        for key, value in one.reads:
            if state.get(key) != value:
                told = shown_bytes(state.get(key))
                what = (
                    f"{one.name} read {shown_bytes(key)} -> {shown_bytes(value)}, but the journal "
                    f"{shown_bytes(self.prefix)} it read beside it says {told}"
                )
                self.accuser.accuse("diverged-state", what, (one,), key)
