"""The change log against the ledger: each anomaly by hand, and outcomes settled by it."""

from __future__ import annotations

import pytest

from fastness.testing import Outcome
from fastness.testing.change_log import (
    Changes,
    LogPage,
    check_change_log,
    check_pages,
    resolve_by_log,
)
from fastness.testing.ledger import Add, Erase, Extend, Set, StampKey
from tests.histories.ledgers import Script

FAILED, UNKNOWN = Outcome.FAILED, Outcome.UNKNOWN
Log = list[tuple[int, Changes]]


@pytest.fixture
def script() -> Script:
    """Two commits: values, one of which expires at 25, and their removal."""
    script = Script()
    script.attempt(Set(b"a", b"1"), Set(b"b", b"1", 25), Add(b"n", 2), commits=10)
    script.attempt(Erase(b"a", b"c"), Set(b"d", b"2"), Set(b"e", None), commits=20)
    return script


def log() -> Log:
    """What the store says of them."""
    two = (2).to_bytes(8, "little")
    return [(10, {b"a": b"1", b"b": b"1", b"n": two}), (20, {b"a": None, b"b": None, b"d": b"2"})]


def found(script: Script, log: Log) -> list[str]:
    """The classes that were found."""
    report = check_change_log(script.attempts, log, concerns=lambda key: key < b"\xff")
    for anomaly in report.anomalies:
        assert all(f"T{index} " in anomaly.explanation for index in anomaly.transactions)
    return sorted(report.counts)


def test_a_log_that_agrees(script: Script) -> None:
    """Values, sums, stamped keys and erased intervals; keys the ledger does not know of."""
    script.attempt(StampKey(b"j", b"v", b"z"), commits=30)
    stamped = b"j" + (30).to_bytes(8, "big") + b"\0\0z"
    script.attempt(Set(b"q", b"9"), outcome=FAILED)
    assert found(script, [*log(), (25, {b"\xff\x01": b"x"}), (30, {stamped: b"v"})]) == []


def test_removals_of_what_expired(script: Script) -> None:
    """The store may remove what has expired, by itself or when it is overwritten."""
    script.attempt(Set(b"b", b"2", 40), commits=22)
    script.attempt(Set(b"b", None), commits=50)
    base = [*log(), (22, {b"b": b"2"})]
    assert found(script, base) == []
    assert found(script, [*base, (50, {b"b": None})]) == []
    assert found(script, [*base, (45, {b"b": None})]) == []
    assert found(script, [*base, (39, {b"b": None})]) == ["ghost-commit"]


def test_a_lost_commit(script: Script) -> None:
    """Acknowledged, and not there."""
    assert found(script, log()[1:]) == ["lost-commit"]


@pytest.mark.parametrize(
    "changes",
    [{b"a": None, b"b": None}, {b"a": None, b"b": None, b"d": b"3"}, {b"b": None, b"d": b"2"},
     {b"a": None, b"b": None, b"d": b"2", b"z": b"1"}],
)  # fmt: skip
def test_half_a_commit(script: Script, changes: Changes) -> None:
    """A key is missing, has another value, or is one too many."""
    assert found(script, [log()[0], (20, changes)]) == ["other-changes"]


def test_ghosts_and_disorder(script: Script) -> None:
    """A failed attempt's write, and one of nobody; pages in the wrong order."""
    script.attempt(Set(b"q", b"9"), outcome=FAILED)
    assert found(script, [*log(), (30, {b"q": b"9"})]) == ["ghost-commit"]
    assert found(script, [*log(), (30, {b"x": b"9"})]) == ["ghost-commit"]
    assert found(script, [log()[1], log()[0]]) == ["disordered-log"]


def test_unknown_outcomes_are_settled(script: Script) -> None:
    """By elimination: what is nobody else's can only be theirs."""
    script.attempt(Set(b"q", b"9"), outcome=UNKNOWN)
    script.attempt(Set(b"q", b"8"), outcome=UNKNOWN)
    script.attempt(Add(b"n", 1), outcome=UNKNOWN)
    entries = [*log(), (30, {b"q": b"9"}), (40, {b"n": (3).to_bytes(8, "little")})]
    assert resolve_by_log(script.attempts, entries) == 0
    assert [one.writes_at for one in script.attempts] == [10, 20, 30, 0, 40]
    assert [one.outcome for one in script.attempts][2:] == [UNKNOWN, FAILED, UNKNOWN]
    assert found(script, entries) == []


def test_the_last_of_several_writes_counts(script: Script) -> None:
    """A key written twice, extended, or erased again, is in the log as it was left."""
    script.attempt(
        Set(b"p", b"1"), Set(b"q", b"1"), Extend(b"q", b"x"), Set(b"r", b"1"), Erase(b"r", b"s"),
        Set(b"p", b"2"), Extend(b"t", b"y"), outcome=UNKNOWN,
    )  # fmt: skip
    entries = [*log(), (30, {b"p": b"2", b"q": b"1x", b"t": b"zzy"})]
    assert resolve_by_log(script.attempts, entries) == 0
    assert script.attempts[-1].writes_at == 30


def test_a_removal_of_nothing_may_have_committed(script: Script) -> None:
    """An unknown attempt that only removes is not in the log where nothing was there."""
    script.attempt(Set(b"x", None), outcome=UNKNOWN)
    script.attempt(Set(b"x", None), Set(b"y", b"1"), outcome=UNKNOWN)
    assert resolve_by_log(script.attempts, log()) == 1
    assert [one.outcome for one in script.attempts][2:] == [UNKNOWN, FAILED]


def test_a_removal_leaves_no_value(script: Script) -> None:
    """A commit that left a value is not that of an attempt which only removes that key."""
    script.attempt(Set(b"x", b"1"), outcome=UNKNOWN)
    script.attempt(Set(b"x", None), outcome=UNKNOWN)
    script.attempt(Erase(b"w", b"y"), outcome=UNKNOWN)
    assert resolve_by_log(script.attempts, [*log(), (30, {b"x": b"1"})]) == 2
    assert [one.writes_at for one in script.attempts][2:] == [30, 0, 0]


def test_what_somebody_unknown_removed_is_gone(script: Script) -> None:
    """Two may have removed it: whoever removes it after them finds nothing there."""
    script.attempt(Set(b"x", b"1"), commits=30)
    script.attempt(Set(b"x", None), outcome=UNKNOWN)
    script.attempt(Set(b"x", None), outcome=UNKNOWN)
    script.attempt(Set(b"x", None), Set(b"y", b"1"), commits=50)
    base = [*log(), (30, {b"x": b"1"})]
    assert found(script, [*base, (40, {b"x": None}), (50, {b"y": b"1"})]) == []
    assert found(script, [*base, (50, {b"y": b"1"})]) == ["other-changes"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ([(10, {b"a": b"1"}), (20, {b"a": None})], []),
        ([(10, {b"a": b"1"})], ["late-change"]),
        ([(10, {b"a": b"2"}), (20, {b"a": None})], ["changed-page"]),
        ([(10, {b"a": b"1"}), (15, {b"b": b"1"}), (20, {b"a": None})], ["vanished-change"]),
    ],
)
def test_pages_up_to_a_closed_timestamp(changes: Log, found: list[str]) -> None:
    """What was read of (5, 20] is what the log says of it in the end, no more and no less."""
    log: dict[int, Changes] = {
        5: {b"a": b"0"},
        10: {b"a": b"1"},
        20: {b"a": None},
        21: {b"b": b"9"},
    }
    report = check_pages([LogPage("store", 5, 20, changes)], {"store": log})
    assert list(report.counts) == found
