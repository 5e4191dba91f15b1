"""Legal histories never alarm, however their transactions interleave and their answers are lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastness.testing import (
    BankWorkload,
    ListAppendWorkload,
    Outcome,
    ReadWriteWorkload,
    RegisterWorkload,
    Workload,
)
from tests.histories.databases import StepDatabase
from tests.histories.interleaving import interleave

WORKLOADS = [
    ListAppendWorkload(transactions=25, keys=4, appends_max=16),
    ReadWriteWorkload(transactions=25, keys=4),
    RegisterWorkload(transactions=25, keys=2),
    BankWorkload(transactions=25, keys=4),
]


@pytest.mark.parametrize("workload", WORKLOADS)
@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32),
    processes=st.integers(1, 8),
    unknown=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_legal_interleavings_never_alarm(
    workload: Workload, seed: int, processes: int, unknown: float
) -> None:
    """A strictly serializable database is clean for every seed, concurrency and loss of answers."""
    seeded = replace(workload, seed=seed, processes=processes)
    history = interleave(seeded, StepDatabase(seed), seed=seed, unknown=unknown)
    report = seeded.check(history)
    assert report.ok, str(report)


def test_interleavings_have_every_outcome() -> None:
    """The histories above hold acknowledged, failed and unknown transactions that overlap."""
    workload = WORKLOADS[0]
    history = interleave(workload, StepDatabase(), seed=1, unknown=0.1)
    assert {one.outcome for one in history} == set(Outcome)
    assert any(
        later.invoked < (earlier.completed or 0)
        for earlier, later in zip(history, list(history)[1:], strict=False)
    )
