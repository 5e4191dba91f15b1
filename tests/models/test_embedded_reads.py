"""The model of snapshot reads beside group commit holds, and needs every one of its rules."""

from __future__ import annotations

import pytest

from models.embedded_reads import Rule, main, search


def test_every_promise_is_kept_in_every_interleaving() -> None:
    """The protocol as built, with a crash and a pruning anywhere."""
    answer = search()
    assert not answer.wrong, "\n".join((answer.wrong, *answer.run))
    assert answer.states > 10_000


@pytest.mark.parametrize("rule", Rule)
def test_each_rule_is_needed(rule: Rule) -> None:
    """Left out, a run is found that breaks a promise."""
    answer = search(rule)
    assert answer.wrong
    assert answer.run


def test_the_command_prints_each_counterexample() -> None:
    """Whoever runs the model reads what each rule is for."""
    told: list[str] = []
    assert main(told.append)
    for rule in Rule:
        assert any(rule.value in line for line in told)
