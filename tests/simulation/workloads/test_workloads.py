"""Workloads of the simulated cluster, on an embedded database: correct runs are never accused."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from fastness.testing import Outcome
from fastness.testing.ledger import Attempt, Ledger, Set
from fastness.testing.replay import check_replay
from fastness.testing.simulation.workloads import WORKLOADS, SimulatedWorkload
from tests.simulation.workloads.embedded import CLIENTS, run_together

ACTIONS = 25
WRONG = (None, b"0", b"another")


def recorded(seed: int, *kinds: type[SimulatedWorkload]) -> tuple[Ledger, list[SimulatedWorkload]]:
    """A ledger of some workloads together, and the workloads."""
    workloads = [kind(Random(f"{seed} {kind.kind}")) for kind in kinds]
    return asyncio.run(run_together(workloads, seed=seed, actions=ACTIONS)), workloads


@pytest.mark.parametrize("seed", range(4))
def test_all_together_are_never_accused(seed: int) -> None:
    """All workloads in one correct database: no checker finds anything, and much was committed."""
    ledger, workloads = recorded(seed, *WORKLOADS)
    check_replay(ledger.attempts).require_ok()
    for workload in workloads:
        for report in workload.judge(ledger):
            report.require_ok()
        acknowledged = [one for one in workload.attempts(ledger) if one.outcome is Outcome.OK]
        assert len(acknowledged) > CLIENTS * ACTIONS // 2, workload.kind


@pytest.mark.parametrize("kind", WORKLOADS, ids=lambda kind: kind.kind)
def test_each_alone_writes_and_reads(kind: type[SimulatedWorkload]) -> None:
    """Every workload both reads and writes, in one place and in several."""
    ledger, (workload,) = recorded(11, kind)
    attempts = workload.attempts(ledger)
    assert any(one.writes for one in attempts)
    assert any(one.reads or one.scans for one in attempts)


def read_ones(ledger: Ledger) -> list[Attempt]:
    """Attempts that read single keys at a known moment."""
    return [one for one in ledger if one.reads and one.read_timestamp]


@pytest.mark.parametrize("seed", range(3))
def test_a_single_wrong_answer_is_found(seed: int) -> None:
    """Changing any one value read in a correct run is found by the replay."""
    ledger, _ = recorded(seed, *WORKLOADS)
    random = Random(seed)
    for one in random.sample(read_ones(ledger), 30):
        place = random.randrange(len(one.reads))
        key, right = one.reads[place]
        one.reads[place] = (key, random.choice([value for value in WRONG if value != right]))
        assert not check_replay(ledger.attempts).ok, f"{key!r} {right!r}"
        one.reads[place] = (key, right)
    check_replay(ledger.attempts).require_ok()


@pytest.mark.parametrize("seed", range(3))
def test_a_commit_that_was_seen_and_is_denied_is_found(seed: int) -> None:
    """A transaction whose value somebody read cannot have failed."""
    ledger, _ = recorded(seed, *WORKLOADS)
    read = {pair for one in ledger for pair in one.reads}
    seen = [
        one
        for one in ledger.of_kind("register", "variable")
        if one.outcome is Outcome.OK
        and any(isinstance(done, Set) and (done.key, done.value) in read for done in one.writes)
    ]
    for one in Random(seed).sample(seen, 20):
        one.outcome = Outcome.FAILED
        assert not check_replay(ledger.attempts).ok
        one.outcome = Outcome.OK
