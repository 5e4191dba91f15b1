"""What the checkers refuse to judge, what they count, and the limits they keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fastness.errors import LimitExceeded
from fastness.invariants import InvariantViolation
from fastness.testing import (
    History,
    InvalidHistory,
    ListAppendWorkload,
    Outcome,
    Read,
    Report,
    Transaction,
    check_list_append,
    check_read_write_registers,
    check_registers,
)
from fastness.testing import _cycles as cycles
from fastness.testing import _register_search as register_search
from tests.histories.databases import LostUpdateDatabase, StepDatabase
from tests.histories.interleaving import interleave
from tests.histories.scripts import parse

Checker = Callable[[History], Report]


@pytest.mark.parametrize(
    ("checker", "text", "message"),
    [
        (check_list_append, "process 0, 1..2:  write x 1", "no list operation"),
        (check_list_append, "process 0, 1..2:  read x -> 1", "which is no list"),
        (check_list_append, "process 0, 1..2:  append x 1; append x 1", "both appended 1"),
        (check_read_write_registers, "process 0, 1..2:  append x 1", "no read or write"),
        (check_read_write_registers, "process 0, 1..2:  read x -> [1]", "no read or write"),
        (check_read_write_registers, "process 0, 1..2:  write x nothing", "wrote None"),
        (check_read_write_registers, "process 0, 1..2:  write x 1; write x 1", "both wrote 1"),
        (check_registers, "process 0, 1..2:  write x 1; write x 2", "not one read, write"),
        (check_registers, "process 0, 1..2:  ", "not one read, write"),
        (check_registers, "process 0, 1..2:  append x 1", "not one read, write"),
        (check_registers, "process 0, 1..2:  cas x 1 to 2 -> unknown", "no answer"),
    ],
)
def test_histories_of_another_kind_are_refused(checker: Checker, text: str, message: str) -> None:
    """Each checker says which operations it judges, or which checker would."""
    with pytest.raises(InvalidHistory, match=message):
        checker(parse(text))


@pytest.mark.parametrize(
    "checker", [check_list_append, check_read_write_registers, check_registers]
)
def test_an_empty_history_is_clean(checker: Checker) -> None:
    """Nothing happened, nothing is wrong, and the report says how little that is."""
    report = checker(History([]))
    assert report.ok
    assert "0 transactions, 0 acknowledged, 0 reads: no anomaly" in str(report)
    report.require_ok()


def test_an_anomaly_can_be_raised() -> None:
    """`require_ok` raises an `AssertionError` that holds the explanation."""
    report = check_list_append(parse("process 0, 1..2:  read x -> [1]"))
    with pytest.raises(InvariantViolation, match="which no transaction appended"):
        report.require_ok()


def test_an_unknown_append_that_nobody_saw_is_no_evidence() -> None:
    """It may be missing everywhere, and whatever its transaction read does not count."""
    text = """
        process 0, 1..? unknown:  append x 1; read y -> [9]
        process 1, 2..3:  read x -> []
    """
    assert check_list_append(parse(text)).ok


def test_unknown_transactions_may_take_effect_late() -> None:
    """An append without an answer may be missed at first and seen later, but not vanish again."""
    text = """
        process 0, 1..2 unknown:  append x 1
        process 1, 3..4:  read x -> []
        process 1, 5..6:  read x -> [1]
    """
    assert check_list_append(parse(text)).ok
    assert not check_list_append(parse(text + "process 1, 7..8:  read x -> []")).ok


def test_one_unknown_can_prove_another() -> None:
    """A transaction seen by one that was itself only seen is committed too."""
    text = """
        process 0, 1..2 unknown:  append x 1
        process 1, 3..4 unknown:  read x -> [1]; append y 2
        process 2, 5..6:  read y -> [2]
        process 3, 7..8:  read x -> []
    """
    assert check_list_append(parse(text)).counts["G-single-realtime"] == 1


def test_registers_can_start_with_values() -> None:
    """`initial` says what keys hold before the history."""
    history = parse("process 0, 1..2:  read x -> 7")
    assert not check_registers(history).ok
    assert check_registers(history, initial={"x": 7}).ok


def test_too_many_situations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for one key's order is bounded, and says what to record instead."""
    monkeypatch.setattr(register_search, "SITUATIONS_MAX", 50)
    writes = "\n".join(f"process {n}, {n + 1}..{n + 40}:  write x {n}" for n in range(12))
    with pytest.raises(LimitExceeded, match="more than 50 situations"):
        check_registers(parse(writes))


def test_a_giant_component_is_searched_within_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everything is tangled with everything, a cycle is found however little is searched."""
    workload = ListAppendWorkload(processes=8, transactions=250, keys=3, appends_max=400)
    history = interleave(workload, LostUpdateDatabase(), seed=1)
    thorough = check_list_append(history)
    assert thorough.counts["lost-update"] > 8
    assert len(thorough.named("lost-update")) == 8
    assert thorough.counts["G0"] == 1
    monkeypatch.setattr(cycles, "EDGES_VISITED_MAX", 1)
    hasty = check_list_append(history)
    assert hasty.counts["G0"] == 1
    assert len(hasty.named("G0")[0].transactions) >= len(thorough.named("G0")[0].transactions)


def test_a_long_history_is_judged_whole() -> None:
    """Eight thousand transactions, deeper than any recursion, are clean; one lie is found."""
    workload = ListAppendWorkload(processes=8, transactions=1_000, appends_max=64)
    history = interleave(workload, StepDatabase(), seed=1)
    assert check_list_append(history).ok
    late = history[-1].invoked + 100
    liar = Transaction(0, 99, late, late + 1, Outcome.OK, (Read(0, ()),))
    report = check_list_append(History.of([*history, liar]))
    assert dict(report.counts) == {"G-single-realtime": 1}
    assert len(report.anomalies[0].transactions) == 2
