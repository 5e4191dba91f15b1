"""Every model holds, and needs every one of its rules."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from models.__main__ import load, main, names
from models.checker import Model

MODELS: dict[str, Model[Any]] = {name: load(name) for name in names()}
STATES_MIN = {
    "embedded_reads": 10_000,
    "range_commits": 30_000,
    "two_phase": 40_000,
    "exactly_once": 3_000,
    "leases": 50_000,
    "oracle": 300,
    "near_cache": 50_000,
    "cached_transactions": 30_000,
    "closed_timestamps": 10_000,
    "splits": 300,
    "versionstamped_keys": 10_000,
    "wait_die": 80,
    "atomic_operations": 100,
    "expiry": 1_000,
    "postgres_batches": 20,
    "moves": 1_000,
}
"""A model that visits fewer states than this has lost actors it once had."""
RULES = [(name, rule) for name, model in MODELS.items() for rule in model.rules]


@pytest.mark.parametrize("name", MODELS)
def test_every_promise_is_kept_in_every_interleaving(name: str) -> None:
    """The protocol as built, in each of its scenarios."""
    states = 0
    for scenario in MODELS[name].scenarios:
        answer = scenario.search()
        assert not answer.wrong, "\n".join((scenario.name, answer.wrong, *answer.run))
        states += answer.states
    assert states > STATES_MIN[name]


@pytest.mark.parametrize(("name", "rule"), RULES, ids=[f"{name}-{r.name}" for name, r in RULES])
def test_each_rule_is_needed(name: str, rule: Enum) -> None:
    """Left out, a run is found that breaks a promise."""
    found = MODELS[name].counterexample(rule)
    assert found.wrong
    assert found.run


@pytest.mark.parametrize("name", MODELS)
def test_the_command_prints_each_counterexample(name: str) -> None:
    """Whoever runs a model reads what each of its rules is for."""
    told: list[str] = []
    assert main([name], told.append) == 0
    for rule in MODELS[name].rules:
        assert any(rule.value in line for line in told)


def test_the_command_tells_of_all_models_at_once() -> None:
    """Without names, one line for each model."""
    told: list[str] = []
    assert main([], told.append) == 0
    assert [line.split(":")[0] for line in told] == list(MODELS)


def test_the_command_names_the_models_there_are() -> None:
    """A name that is no model is answered with those that are."""
    told: list[str] = []
    assert main(["checkers"], told.append) == 2
    assert "embedded_reads" in told[0]
