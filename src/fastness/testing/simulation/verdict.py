"""The judgement of a run: every checker there is, over what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastness.encoding.intervals import USER_END
from fastness.testing.change_log import (
    Changes,
    check_change_log,
    check_pages,
    resolve_by_log,
)
from fastness.testing.ledger import Ledger
from fastness.testing.replay import check_replay
from fastness.testing.report import Report
from fastness.testing.simulation.followers import Follower
from fastness.testing.simulation.workloads import SimulatedWorkload
from fastness.testing.told import Told, check_told

StoreLog = Mapping[int, Changes]
"""The changes of one store, by commit timestamp."""


def judge(
    ledger: Ledger,
    workloads: Sequence[SimulatedWorkload],
    logs: Mapping[str, StoreLog],
    follower: Follower,
    told: Sequence[Told],
) -> list[Report]:
    """Reports of all checkers, the universal ones first. The logs must be complete."""
    log = merged(logs.values())
    resolve_by_log(ledger.attempts, log, concerns=_is_known)
    reports = [
        check_pages(follower.pages, follower.by_region(log)),
        check_change_log(ledger.attempts, log, concerns=_is_known),
        check_replay(ledger.attempts),
        check_told(ledger.attempts, told),
    ]
    for workload in workloads:
        reports += workload.judge(ledger)
    return reports


def merged(logs: Iterable[StoreLog]) -> list[tuple[int, Changes]]:
    """One log of several stores: a commit in two of them is one."""
    together: dict[int, dict[bytes, bytes | None]] = {}
    for log in logs:
        for timestamp, changes in log.items():
            together.setdefault(timestamp, {}).update(changes)
    return sorted(together.items())


def _is_known(key: bytes) -> bool:
    """Keys of typed records and of the system are written by transactions that record none."""
    return key < USER_END
