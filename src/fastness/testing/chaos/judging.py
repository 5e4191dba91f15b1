"""The judgement: every checker, over all that clients and probes recorded, and over the stores."""

from __future__ import annotations

from collections.abc import Sequence

from fastness.encoding.intervals import USER_END
from fastness.errors import LimitExceeded
from fastness.testing.cached_reads import check_cached_reads
from fastness.testing.change_log import Changes, check_change_log, resolve_by_log
from fastness.testing.chaos import probes
from fastness.testing.ledger import Ledger
from fastness.testing.replay import check_replay
from fastness.testing.report import Report
from fastness.testing.simulation.workloads import SimulatedWorkload


def judge(
    ledger: Ledger,
    workloads: Sequence[SimulatedWorkload],
    log: Sequence[tuple[int, Changes]] | None,
) -> tuple[list[Report], int]:
    """The reports of all checkers, and how many outcomes nobody can tell.

    Outcomes that clients never learned are settled by the log first, so that a replay is exact.
    Without one (a store that cannot be read) their keys stay unjudged.
    """
    reports = []
    if log is not None:
        resolve_by_log(ledger.attempts, log, concerns=_is_known)
        reports.append(check_change_log(ledger.attempts, log, concerns=_is_known))
    unsettled = len(ledger.unresolved())
    reports += [
        check_replay(ledger.attempts),
        check_cached_reads(ledger.of_kind(probes.KIND)),
    ]
    for workload in workloads:
        try:
            reports += workload.judge(ledger)
        except LimitExceeded:
            # More operations open at once than the search allows; the replay has judged them.
            continue
    return reports, unsettled


def _is_known(key: bytes) -> bool:
    """Keys of typed records and of the system are written by transactions that record none."""
    return key < USER_END
