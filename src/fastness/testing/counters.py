"""Counters changed by atomic additions: each addition counts once, or not at all.

Every addition to one counter adds its own power of four: 1, 4, 16, .. So a value found tells,
digit by digit in base four, which additions it holds, and how often: an addition applied
twice shows as a 2, whatever else happened. No timestamps are needed; answers may have been
lost or given twice.

A counter then is a set that only grows, and a history of it is linearizable if and only if

1. no read holds an addition twice, a failed one, one nobody made, or one that began after it;
2. of any two reads one holds all that the other holds; the one that ended first holds no more;
3. a read holds every addition acknowledged before it began, and with any addition all that
   were acknowledged before that one began.

This is exact for one counter. A value must stay below 2**63: 31 additions each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from fastness.testing._ledger_words import shown_attempt, shown_bytes
from fastness.testing.history import InvalidHistory, Outcome
from fastness.testing.ledger import Add, Attempt
from fastness.testing.report import Anomaly, Report

ADDITIONS_MAX: Final = 31
"""Powers of four below 2**62: additions one counter takes."""

_TITLES: Final = {
    "added-twice": "an addition was applied more than once",
    "never-added": "a counter holds what nobody added, or what failed",
    "lost-addition": "an addition that was acknowledged is missing",
    "early-addition": "a counter held an addition before it was made",
    "forked-counter": "two reads each hold an addition that the other lacks",
    "shrunken-counter": "a later read holds less than an earlier one",
}


class _Read(NamedTuple):
    attempt: Attempt
    held: frozenset[int]
    """The additions it holds, by their powers."""


def check_counters(attempts: Sequence[Attempt]) -> Report:
    """Judge attempts whose writes are `Add`s of powers of four, and their reads of counters.

    Every key they read is a counter. Raises `InvalidHistory` for an amount that is no
    power of four, or is added to one counter by two attempts.
    """
    acknowledged = sum(one.outcome is Outcome.OK for one in attempts)
    report = Report("counters", len(attempts), acknowledged, 0)
    additions = _additions(attempts)
    reads: dict[bytes, list[tuple[Attempt, bytes | None]]] = {}
    for one in attempts:
        for key, value in () if one.past else one.reads:
            reads.setdefault(key, []).append((one, value))
            report.reads += 1
    for key, found in reads.items():
        _Counter(report, key, additions.get(key, {})).judge(found)
    return report


def _additions(attempts: Iterable[Attempt]) -> dict[bytes, dict[int, Attempt]]:
    """By counter and power, who added it."""
    additions: dict[bytes, dict[int, Attempt]] = {}
    for one in attempts:
        for effect in one.writes:
            if not isinstance(effect, Add):
                continue
            power = (effect.amount.bit_length() - 1) // 2
            powers = additions.setdefault(effect.key, {})
            if effect.amount < 1 or effect.amount != 4**power or power in powers:
                raise InvalidHistory(
                    f"{one.name} added {effect.amount} to {shown_bytes(effect.key)}; add each "
                    "power of four to a counter once, so that its value shows what it holds"
                )
            powers[power] = one
    return additions


def shown_powers(powers: Iterable[int]) -> str:
    """Additions by their amounts."""
    return ", ".join(str(4**power) for power in sorted(powers))


class _Counter:
    """The judgement on one counter."""

    def __init__(self, report: Report, key: bytes, powers: dict[int, Attempt]) -> None:
        self.report = report
        self.key = key
        self.powers = powers

    def judge(self, found: Sequence[tuple[Attempt, bytes | None]]) -> None:
        reads = [
            _Read(one, held) for one, value in found if (held := self._held(one, value)) is not None
        ]
        for read in reads:
            self._judge_read(read)
        self._judge_order(reads)

    def _held(self, one: Attempt, value: bytes | None) -> frozenset[int] | None:
        """The additions a value holds; `None` (and an anomaly) where it cannot be."""
        number = int.from_bytes(value or b"", "little", signed=True)
        if number < 0:
            self._accuse("never-added", f"{number}, below zero", one)
            return None
        held = set()
        rest, power = number, 0
        while rest:
            rest, times = divmod(rest, 4)
            adder = self.powers.get(power)
            if times and adder is None:
                self._accuse("never-added", f"{number}, and nobody added {4**power}", one)
                return None
            if times > 1:
                what = f"{number}, which holds {4**power} {times} times"
                self._accuse("added-twice", what, one, adder)
                return None
            if times:
                held.add(power)
            power += 1
        return frozenset(held)

    def _judge_read(self, read: _Read) -> None:
        """What one read holds against what had been acknowledged, and begun."""
        one, held = read
        for power, adder in self.powers.items():
            if power not in held:
                required = _before(adder, one) or any(
                    _before(adder, self.powers[other]) for other in held
                )
                if required and adder.outcome is Outcome.OK:
                    self._accuse("lost-addition", self._without(power), one, adder)
            elif adder.outcome is Outcome.FAILED:
                self._accuse("never-added", self._with(power) + ", which failed", one, adder)
            elif one.completed is not None and adder.invoked > one.completed:
                self._accuse("early-addition", self._with(power), one, adder)

    def _judge_order(self, reads: Sequence[_Read]) -> None:
        """Reads ordered by what they hold must be ordered so in real time."""
        ordered = sorted(reads, key=lambda read: (len(read.held), read.attempt.invoked))
        for before, after in itertools.pairwise(ordered):
            if not before.held <= after.held:
                missing = shown_powers(before.held - after.held)
                what = f"a counter with {shown_powers(after.held)} and without {missing}"
                self._accuse("forked-counter", what, after.attempt, before.attempt)
        # Of the reads that hold less, the one that began last decides.
        latest: _Read | None = None
        for read in ordered:
            ended = read.attempt.completed
            if (
                latest is not None
                and ended is not None
                and latest.held < read.held
                and ended < latest.attempt.invoked
            ):
                missing = shown_powers(read.held - latest.held)
                what = f"a counter without {missing}, which {read.attempt.name} had read before"
                self._accuse("shrunken-counter", what, latest.attempt, read.attempt)
            if latest is None or read.attempt.invoked > latest.attempt.invoked:
                latest = read

    def _without(self, power: int) -> str:
        adder = self.powers[power]
        return f"a counter without the {4**power} of {adder.name}, acknowledged before"

    def _with(self, power: int) -> str:
        return f"a counter with the {4**power} of {self.powers[power].name}"

    def _accuse(self, name: str, what: str, reader: Attempt, other: Attempt | None = None) -> None:
        involved = [reader] if other is None or other is reader else [reader, other]
        lines = [f"{reader.name} read {shown_bytes(self.key)} -> {what}"]
        lines += [f"    {shown_attempt(one, (self.key,))}" for one in involved]
        indices = tuple(one.index for one in involved)
        key = shown_bytes(self.key)
        self.report.add(Anomaly(name, _TITLES[name], indices, (key,), "\n".join(lines)))


def _before(earlier: Attempt, later: Attempt) -> bool:
    """Whether one had ended when the other began."""
    return earlier.completed is not None and earlier.completed < later.invoked
