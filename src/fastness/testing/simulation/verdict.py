"""The judgement of a run: every checker there is, over what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastness.encoding.intervals import USER_END
from fastness.testing.change_log import check_change_log, resolve_by_log
from fastness.testing.ledger import Ledger
from fastness.testing.replay import check_replay
from fastness.testing.report import Report
from fastness.testing.simulation.workloads import SimulatedWorkload

Log = Sequence[tuple[int, Mapping[bytes, bytes | None]]]


def judge(ledger: Ledger, workloads: Sequence[SimulatedWorkload], log: Log) -> list[Report]:
    """Reports of all checkers, the universal ones first. The log must be complete."""
    resolve_by_log(ledger.attempts, log)
    reports = [
        check_change_log(ledger.attempts, log, concerns=_is_known),
        check_replay(ledger.attempts),
    ]
    for workload in workloads:
        reports += workload.judge(ledger)
    return reports


def _is_known(key: bytes) -> bool:
    """Keys of typed records and of the system are written by transactions that record none."""
    return key < USER_END
