"""Ranges opened together: one statement, one wait for the standby, an answer for each.

A node that starts, or takes over from one that died, opens all of its ranges at about the same
time. Each is locked in the order of ids, as batches lock them, so that nobody waits in a circle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fastness.errors import FastnessError
from fastness.hosting.postgres.batches import range_row
from fastness.storage.contract import RangeState
from fastness.storage.range_rows import opened

TOGETHER_MAX = 16
"""Ranges in one statement: a row that is locked for long keeps no more than these waiting."""
OPEN = """
SELECT g.range_id AS id, o.* FROM unnest($1::int8[], $2::int8[]) AS g(range_id, at_epoch),
    LATERAL fastness.open_range(g.range_id, g.at_epoch) AS o
"""


class Opening(NamedTuple):
    """A range to be opened, and who waits for it."""

    range_id: int
    epoch: int
    done: Callable[[RangeState | FastnessError], None]

    @property
    def what(self) -> str:
        """What is done, in an error."""
        return f"opening range {self.range_id}"


def taken(first: Opening, waiting: deque[Any]) -> list[Opening]:
    """The first, and what may go off with it of those that wait: other ranges to be opened."""
    group = {first.range_id: first}
    while waiting and isinstance(waiting[0], Opening) and len(group) < TOGETHER_MAX:
        if waiting[0].range_id in group:
            break
        one = waiting.popleft()
        group[one.range_id] = one
    return [group[range_id] for range_id in sorted(group)]


def arguments(group: Sequence[Opening]) -> tuple[list[int], list[int]]:
    """What `OPEN` is asked with."""
    return [one.range_id for one in group], [one.epoch for one in group]


def rows_of(rows: Iterable[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """What `OPEN` answered, by range."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row)
    return found


def state_of(one: Opening, rows: Sequence[Mapping[str, Any]]) -> RangeState:
    """What was opened; raises `Fenced` where its epoch was overtaken."""
    (head,) = [row for row in rows if row["name"] is None]
    row = range_row(head)
    if not head["opened"]:
        opened(row, one.range_id, one.epoch)
    records = sorted((row["name"], row["value"]) for row in rows if row["name"] is not None)
    return RangeState(
        one.range_id, one.epoch, row.batch_number, row.applied, row.prune_horizon, dict(records)
    )
