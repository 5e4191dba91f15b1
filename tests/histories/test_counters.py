"""Counters: exact on small histories, and each anomaly by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, combinations, permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastness.testing import InvalidHistory, Outcome
from fastness.testing.counters import check_counters
from fastness.testing.ledger import Add, Attempt, Ledger

KEY = b"n"


def stored(number: int) -> bytes:
    """A counter as the database stores it."""
    return number.to_bytes(8, "little", signed=True)


def random_counter(random: Random) -> Ledger:
    """Overlapping additions and reads of one counter, the answers drawn with some sense."""
    count = random.randint(2, 5)
    moments = iter(random.sample(range(1, 60), count * 2))
    spans = sorted(sorted((next(moments), next(moments))) for _ in range(count))
    now = [0]
    ledger = Ledger(clock=lambda: now[0])
    powers = 0
    for number, (begin, end) in enumerate(spans):
        now[0] = begin
        one = ledger.begin(number)
        now[0] = end
        if random.random() < 0.5:
            one.writes.append(Add(KEY, 4**powers))
            powers += 1
            one.end(random.choices((Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN), (4, 1, 2))[0])
        else:
            held = sum(4**power * random.choice((0, 1, 1)) for power in range(powers + 1))
            if random.random() < 0.1:
                held += random.choice((1, 4))
            one.reads.append((KEY, stored(held) if held else None))
            one.end(Outcome.OK)
    return ledger


def explained(ledger: Ledger) -> bool:
    """The definition: some order of what happened, within real time, gives every read."""
    certain = [one for one in ledger if one.outcome is Outcome.OK]
    doubtful = [one for one in ledger if one.outcome is Outcome.UNKNOWN]
    subsets = chain.from_iterable(combinations(doubtful, n) for n in range(len(doubtful) + 1))
    return any(
        _in_real_time(order) and _answers(order)
        for subset in subsets
        for order in permutations([*certain, *subset])
    )


def _in_real_time(order: Sequence[Attempt]) -> bool:
    return not any(
        later.outcome is Outcome.OK
        and later.completed is not None
        and later.completed < earlier.invoked
        for place, earlier in enumerate(order)
        for later in order[place + 1 :]
    )


def _answers(order: Sequence[Attempt]) -> bool:
    total = 0
    for one in order:
        if any(int.from_bytes(value or b"", "little") != total for _, value in one.reads):
            return False
        total += sum(effect.amount for effect in one.writes if isinstance(effect, Add))
    return True


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_it_is_exact(seed: int) -> None:
    """A history of one counter passes if and only if some order explains it."""
    random = Random(seed)
    for _ in range(20):
        ledger = random_counter(random)
        report = check_counters(ledger.attempts)
        shown = [(o.invoked, o.completed, o.outcome, o.reads, o.writes) for o in ledger]
        assert report.ok == explained(ledger), f"{shown}\n{report}"


def test_small_histories_are_both_right_and_wrong() -> None:
    """The generator draws enough of both for the comparison to mean something."""
    random = Random(5)
    verdicts = Counter(explained(random_counter(random)) for _ in range(300))
    assert min(verdicts[True], verdicts[False]) > 60, verdicts


def history(*steps: tuple[str, int, Outcome]) -> Ledger:
    """Additions and reads, one after another."""
    ledger = Ledger()
    for what, number, outcome in steps:
        one = ledger.begin(0)
        if what == "add":
            one.writes.append(Add(KEY, number))
        else:
            one.reads.append((KEY, stored(number)))
        one.end(outcome)
    return ledger


OK, FAILED, UNKNOWN = Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([("add", 1, OK), ("add", 4, UNKNOWN), ("read", 5, OK)], ""),
        ([("add", 1, OK), ("add", 4, UNKNOWN), ("read", 1, OK)], ""),
        ([("add", 1, OK), ("read", 2, OK)], "added-twice"),
        ([("add", 1, UNKNOWN), ("add", 4, UNKNOWN), ("read", 8, OK)], "added-twice"),
        ([("add", 1, OK), ("add", 4, FAILED), ("read", 5, OK)], "never-added"),
        ([("add", 1, OK), ("read", 65, OK)], "never-added"),
        ([("add", 1, OK), ("add", 4, OK), ("read", 4, OK)], "lost-addition"),
        ([("read", 1, OK), ("add", 1, OK)], "early-addition"),
        ([("add", 1, UNKNOWN), ("read", 1, OK), ("read", 0, OK)], "shrunken-counter"),
        ([("add", 1, UNKNOWN), ("add", 4, UNKNOWN), ("read", 1, OK), ("read", 4, OK)],
         "forked-counter"),
    ],
)  # fmt: skip
def test_each_anomaly_has_its_name(steps: list[tuple[str, int, Outcome]], found: str) -> None:
    """Each way a counter can be wrong is found under its name, explained by who did what."""
    report = check_counters(history(*steps).attempts)
    assert list(report.counts) == ([found] if found else [])
    for anomaly in report.anomalies:
        assert all(f"T{index}" in anomaly.explanation for index in anomaly.transactions)
        assert "n -> " in anomaly.explanation


@pytest.mark.parametrize("amounts", [(1, 1), (2,), (0,), (-1,), (3,)])
def test_amounts_must_show_who_added_them(amounts: tuple[int, ...]) -> None:
    """An amount that is no power of four, or is used twice, cannot be judged."""
    with pytest.raises(InvalidHistory):
        check_counters(history(*(("add", amount, OK) for amount in amounts)).attempts)
