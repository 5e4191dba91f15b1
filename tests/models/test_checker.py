"""The checker finds what is wrong at its shortest, and the judge knows what orders explain."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import pytest

from models.checker import History, Judge, Model, Scenario


class Rule(Enum):
    """Of a counter that must not pass 3."""

    STOPS = "it counts on"
    COUNTS = "it never counts"


def counting(state: int, without: Rule | None) -> Iterator[tuple[str, int]]:
    """Count up by one or two, to 3."""
    top = 4 if without is Rule.STOPS else 3
    for by in (1, 2):
        if state + by <= top and without is not Rule.COUNTS:
            yield f"add {by}", state + by


def counter(*needs: Rule) -> Scenario[int, Rule]:
    """The scenario of that counter."""
    return Scenario(
        name="a counter",
        start=0,
        steps=counting,
        wrong=lambda state: "passed 3" if state > 3 else "",
        stuck=lambda state: "" if state >= 3 else "stopped early",
        needs=needs,
    )


def test_every_state_is_visited_once() -> None:
    """A protocol that holds is searched to its end."""
    answer = counter(*Rule).search()
    assert (answer.states, answer.wrong, answer.run) == (4, "", ())


def test_the_run_to_a_wrong_state_is_the_shortest() -> None:
    """Two steps of two, not four of one."""
    answer = counter(*Rule).search(Rule.STOPS)
    assert (answer.wrong, answer.run) == ("passed 3", ("add 2", "add 2"))


def test_a_state_that_nothing_leaves_is_judged() -> None:
    """A deadlock is as wrong as a broken promise."""
    assert counter(*Rule).search(Rule.COUNTS).wrong == "stopped early"


def test_a_model_accounts_for_each_rule_once() -> None:
    """A rule that no scenario shows, or two do, is a mistake of the model's author."""
    Model(rules=tuple(Rule), scenarios=(counter(Rule.STOPS), counter(Rule.COUNTS)))
    with pytest.raises(ValueError, match="exactly one scenario"):
        Model(rules=tuple(Rule), scenarios=(counter(Rule.STOPS),))
    with pytest.raises(ValueError, match="exactly one scenario"):
        Model(rules=tuple(Rule), scenarios=(counter(*Rule), counter(Rule.STOPS)))


def test_a_broken_model_says_so() -> None:
    """A promise broken by the protocol itself, or a rule that nothing needs, fails the command."""
    told: list[str] = []
    idle: Scenario[int, Rule] = Scenario(
        name="idle", start=0, steps=lambda *_: (), wrong=lambda _: "", needs=tuple(Rule)
    )
    assert not Model(rules=tuple(Rule), scenarios=(idle,)).tell(told.append)
    assert any("NOTHING BREAKS" in line for line in told)
    starved: Scenario[int, Rule] = Scenario(
        name="starved",
        start=0,
        steps=lambda *_: (),
        wrong=lambda _: "",
        stuck=lambda _: "nothing happens",
        needs=tuple(Rule),
    )
    assert not Model(rules=tuple(Rule), scenarios=(starved,)).tell(lambda _line: None)


WRITES = {"W": {"x": 1, "y": 1}, "V": {"x": 2}}


def test_reads_of_one_instant_are_explained() -> None:
    """A reader of the values before or after a writer has its place."""
    judge = Judge(WRITES)
    both = History().begin("W").begin("S")
    assert not judge.wrong(both.answer("S", {"x": 0, "y": 0}))
    assert not judge.wrong(both.answer("S", {"x": 1, "y": 1}))
    assert "S read x=0 y=1" in judge.wrong(both.answer("S", {"x": 0, "y": 1}))


def test_the_order_of_real_time_is_kept() -> None:
    """Whoever begins after an answer comes after it."""
    judge = Judge(WRITES)
    late = History().begin("W").answer("W").begin("S")
    assert "W before S" in judge.wrong(late.answer("S", {"x": 0}))
    assert not judge.wrong(late.answer("S", {"x": 1}))


def test_who_was_not_answered_may_have_happened_or_not() -> None:
    """A pending writer is placed where it helps; one that was refused nowhere."""
    judge = Judge(WRITES)
    pending = History().begin("W").begin("V").answer("V").begin("S")
    assert not judge.wrong(pending.answer("S", {"x": 2, "y": 0}))
    assert not judge.wrong(pending.answer("S", {"x": 2, "y": 1}))
    assert judge.wrong(pending.refuse("W").answer("S", {"x": 2, "y": 1}))


def test_two_readers_must_agree_on_one_order() -> None:
    """Each alone could be explained, together they cannot."""
    judge = Judge(WRITES)
    history = History().begin("W").begin("S").answer("S", {"x": 1}).begin("G")
    assert judge.wrong(history.answer("G", {"x": 0}))
