"""Cached reads against real time: exact on small histories, and each anomaly by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastness.testing import InvalidHistory, Outcome
from fastness.testing.cached_reads import check_cached_reads
from fastness.testing.ledger import Attempt, Ledger, Set

KEY = b"k"
OK, FAILED, UNKNOWN = Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN


def random_key(random: Random) -> Ledger:
    """Overlapping writes and reads of one key; writes have rising timestamps of their own."""
    count = random.randint(2, 5)
    moments = iter(random.sample(range(1, 60), count * 2))
    spans = sorted(sorted((next(moments), next(moments))) for _ in range(count))
    now = [0]
    ledger = Ledger(clock=lambda: now[0])
    values: list[bytes | None] = [None]
    for number, (begin, end) in enumerate(spans):
        now[0] = begin
        one = ledger.begin(number)
        now[0] = end
        if random.random() < 0.5:
            value = None if random.random() < 0.2 else b"%d" % number
            values.append(value)
            one.writes.append(Set(KEY, value))
            outcome = FAILED if random.random() < 0.15 else OK
            # Drawn between request and answer, as an oracle would.
            stamp = random.randint(begin, end) * 10 + number
            one.end(outcome, commit_timestamp=stamp if outcome is OK else 0)
        else:
            one.reads.append((KEY, random.choice(values)))
            one.end(OK)
    return ledger


def explained(ledger: Ledger) -> bool:
    """The definition: some order within real time, writes by timestamp, gives every read."""
    happened = [one for one in ledger if one.outcome is OK]
    return any(_in_order(order) and _answers(order) for order in permutations(happened))


def _in_order(order: Sequence[Attempt]) -> bool:
    stamps = [one.writes_at for one in order if one.writes_at]
    return stamps == sorted(stamps) and not any(
        later.completed is not None and later.completed < earlier.invoked
        for place, earlier in enumerate(order)
        for later in order[place + 1 :]
    )


def _answers(order: Sequence[Attempt]) -> bool:
    value: bytes | None = None
    for one in order:
        if any(found != value for _, found in one.reads):
            return False
        for effect in one.writes:
            assert isinstance(effect, Set)
            value = effect.value
    return True


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_it_never_accuses_the_innocent(seed: int) -> None:
    """Where some order explains the reads, nothing is found; without deletions it is exact."""
    random = Random(seed)
    for _ in range(20):
        ledger = random_key(random)
        report = check_cached_reads(ledger.attempts)
        right = explained(ledger)
        shown = [
            (o.invoked, o.completed, o.outcome, o.reads, o.writes, o.writes_at) for o in ledger
        ]
        deletes = any(isinstance(w, Set) and w.value is None for o in ledger for w in o.writes)
        if right or not deletes:
            assert report.ok == right, f"{shown}\n{report}"


def test_small_histories_are_both_right_and_wrong() -> None:
    """The generator draws enough of both, and little of what is wrong is missed."""
    random = Random(5)
    verdicts: Counter[tuple[bool, bool]] = Counter()
    for _ in range(600):
        ledger = random_key(random)
        verdicts[explained(ledger), check_cached_reads(ledger.attempts).ok] += 1
    assert verdicts[True, False] == 0
    assert verdicts[True, True] > 60, verdicts
    assert verdicts[False, False] > 60, verdicts
    assert verdicts[False, True] < 0.1 * verdicts[False, False], verdicts


def history(*steps: tuple[str, bytes | None, Outcome, int]) -> Ledger:
    """Writes with their timestamps, and reads, one after another."""
    ledger = Ledger()
    for what, value, outcome, stamp in steps:
        one = ledger.begin(0)
        if what == "write":
            one.writes.append(Set(KEY, value))
        else:
            one.reads.append((KEY, value))
        one.end(outcome, commit_timestamp=stamp)
    return ledger


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([("write", b"1", OK, 10), ("read", b"1", OK, 0)], ""),
        ([("write", b"1", UNKNOWN, 0), ("read", b"1", OK, 0), ("read", None, OK, 0)], ""),
        ([("write", b"1", OK, 10), ("write", None, OK, 20), ("read", None, OK, 0)], ""),
        ([("write", b"1", OK, 10), ("read", None, OK, 0)], "stale-cached-read"),
        ([("write", b"1", OK, 10), ("write", b"2", OK, 20), ("read", b"1", OK, 0)],
         "stale-cached-read"),
        ([("write", b"1", UNKNOWN, 10), ("write", b"2", UNKNOWN, 20), ("read", b"2", OK, 0),
          ("read", b"1", OK, 0)], "backward-cached-read"),
        ([("write", b"1", FAILED, 0), ("read", b"1", OK, 0)], "failed-cached-read"),
        ([("read", b"1", OK, 0), ("write", b"1", OK, 10)], "early-cached-read"),
        ([("read", b"1", OK, 0)], "unwritten-cached-read"),
        ([("write", b"1", OK, 20), ("write", b"2", OK, 10)], "reordered-write"),
    ],
)  # fmt: skip
def test_each_anomaly_has_its_name(
    steps: list[tuple[str, bytes | None, Outcome, int]], found: str
) -> None:
    """Each way a cache can be wrong is found under its name, explained by who told whom."""
    report = check_cached_reads(history(*steps).attempts)
    assert list(report.counts) == ([found] if found else [])
    for anomaly in report.anomalies:
        assert all(f"T{index}" in anomaly.explanation for index in anomaly.transactions)


def test_values_must_name_their_writer() -> None:
    """A value written twice cannot be judged."""
    with pytest.raises(InvalidHistory):
        check_cached_reads(history(("write", b"1", OK, 1), ("write", b"1", OK, 2)).attempts)
