"""Each checker catches the violations planted in broken databases, and calls them by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from fastness.testing import (
    BankWorkload,
    ListAppendWorkload,
    Plan,
    ReadWriteWorkload,
    RegisterWorkload,
    Report,
    Workload,
)
from tests.histories.databases import (
    AbortedReadDatabase,
    CausalReversalDatabase,
    DirtyReadDatabase,
    IntermediateReadDatabase,
    LongForkDatabase,
    LostUpdateDatabase,
    StaleReadDatabase,
    StepDatabase,
    TornCommitDatabase,
    WriteSkewDatabase,
)
from tests.histories.interleaving import interleave

SEEDS = range(4)


@dataclass(frozen=True, kw_only=True)
class IndependentAppends(ListAppendWorkload):
    """Single appends and reads of everything: no transaction tells of two of its own keys."""

    def client(self, process: int) -> Iterator[Plan]:
        """Two appends in three transactions."""
        random = self.random(process)
        for done in range(self.transactions):
            if random.random() < 0.67:
                value = process + done * self.processes
                yield self._plan([(random.randrange(self.keys), value)])
            else:
                order = random.sample(range(self.keys), self.keys)
                yield self._plan([(key, None) for key in order])

    def finale(self) -> list[Plan]:
        """One read of everything."""
        return [self._plan([(key, None) for key in range(self.keys)])]


LISTS = ListAppendWorkload(processes=4, transactions=60, keys=4)
SINGLE_APPENDS = IndependentAppends(processes=8, transactions=60, keys=4)
REGISTERS = RegisterWorkload(processes=4, transactions=60, keys=2)
READ_WRITE = ReadWriteWorkload(processes=4, transactions=60, keys=4)
BANK = BankWorkload(processes=4, transactions=60, keys=4)


def reports(workload: Workload, database: type[StepDatabase]) -> list[Report]:
    """The verdicts on a few runs of a workload."""
    verdicts = []
    for seed in SEEDS:
        seeded = replace(workload, seed=seed)
        verdicts.append(seeded.check(interleave(seeded, database(seed), seed=seed)))
    return verdicts


def names(verdicts: list[Report]) -> Counter[str]:
    """The classes found in all."""
    return sum((report.counts for report in verdicts), Counter())


@pytest.mark.parametrize(
    ("workload", "database", "expected"),
    [
        (LISTS, LostUpdateDatabase, "lost-update"),
        (LISTS, LostUpdateDatabase, "incompatible-order"),
        (LISTS, DirtyReadDatabase, "G1b"),
        (LISTS, DirtyReadDatabase, "G0"),
        (LISTS, AbortedReadDatabase, "G1a"),
        (LISTS, IntermediateReadDatabase, "G1b"),
        (LISTS, StaleReadDatabase, "G-single-realtime"),
        (LISTS, StaleReadDatabase, "G-single-process"),
        (LISTS, WriteSkewDatabase, "G2"),
        (LISTS, TornCommitDatabase, "G-single"),
        (SINGLE_APPENDS, LongForkDatabase, "G-nonadjacent"),
        (SINGLE_APPENDS, CausalReversalDatabase, "G-single-realtime"),
        (READ_WRITE, LostUpdateDatabase, "lost-update"),
        (READ_WRITE, DirtyReadDatabase, "G1c"),
        (READ_WRITE, DirtyReadDatabase, "internal"),
        (READ_WRITE, AbortedReadDatabase, "G1a"),
        (READ_WRITE, IntermediateReadDatabase, "G1b"),
        (READ_WRITE, StaleReadDatabase, "G-single-realtime"),
        (READ_WRITE, WriteSkewDatabase, "G2"),
        (READ_WRITE, LongForkDatabase, "G-nonadjacent"),
        (READ_WRITE, TornCommitDatabase, "G-single"),
        (REGISTERS, StaleReadDatabase, "nonlinearizable"),
        (REGISTERS, LostUpdateDatabase, "nonlinearizable"),
        (REGISTERS, AbortedReadDatabase, "nonlinearizable"),
        (BANK, TornCommitDatabase, "wrong-total"),
        (BANK, LostUpdateDatabase, "wrong-total"),
        (BANK, CausalReversalDatabase, "wrong-total"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", None),
)
def test_a_broken_database_is_caught(
    workload: Workload, database: type[StepDatabase], expected: str
) -> None:
    """The planted violation is found under the name of its class."""
    verdicts = reports(workload, database)
    assert names(verdicts)[expected] > 0, names(verdicts)


@pytest.mark.parametrize("workload", [LISTS, SINGLE_APPENDS, READ_WRITE, REGISTERS, BANK])
def test_a_correct_database_is_not_accused(workload: Workload) -> None:
    """The same workloads on the correct database leave nothing to report, and much to check."""
    for report in reports(workload, StepDatabase):
        assert report.ok, str(report)
        assert min(report.committed, report.reads) > 60


def test_snapshot_isolation_is_accused_of_write_skew_only() -> None:
    """A database with write skew is not said to lose updates or to show torn snapshots."""
    for workload in (LISTS, READ_WRITE):
        found = names(reports(workload, WriteSkewDatabase))
        assert all(name.startswith("G2") for name in found), found


def test_stale_snapshots_are_accused_of_staleness_only() -> None:
    """A serializable database with old snapshots breaks real-time or process order alone."""
    for workload in (LISTS, READ_WRITE):
        found = names(reports(workload, StaleReadDatabase))
        assert all(name.endswith(("-realtime", "-process")) for name in found), found


def test_causal_reversal_is_told_from_a_stale_read() -> None:
    """Where a later write was seen without an earlier one, the title says so."""
    found = [
        anomaly
        for report in reports(SINGLE_APPENDS, CausalReversalDatabase)
        for anomaly in report.named("G-single-realtime")
    ]
    assert any(anomaly.title.startswith("causal reversal") for anomaly in found)


@pytest.mark.parametrize(
    "database",
    [LostUpdateDatabase, DirtyReadDatabase, StaleReadDatabase, WriteSkewDatabase, LongForkDatabase],
)
@pytest.mark.parametrize("workload", [LISTS, READ_WRITE, REGISTERS, BANK])
def test_explanations_name_what_is_involved(
    workload: Workload, database: type[StepDatabase]
) -> None:
    """Every explanation names each of its transactions and keys, and cycles say why per edge."""
    for report in reports(workload, database):
        for anomaly in report.anomalies:
            words = anomaly.explanation.replace(",", " ").replace(":", " ").split()
            assert {f"T{index}" for index in anomaly.transactions} <= set(words), str(anomaly)
            assert {str(key) for key in anomaly.keys} <= set(words), str(anomaly)
            if "  because\n" in anomaly.explanation:
                reasons = anomaly.explanation.count(" before T")
                assert reasons >= len(anomaly.transactions), str(anomaly)
