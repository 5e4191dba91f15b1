"""Batches of ranges as the arguments of `fastness.apply`, and what its answer says of each.

Commits of a batch that erase intervals divide it into *stages*: what an interval holds is looked
up when everything before its commit is written. A batch that erases nothing is one stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastness.errors import StoreUnavailable
from fastness.invariants import check
from fastness.storage.contract import Batch, CommittedWrites
from fastness.storage.layout import RangeRow
from fastness.storage.range_rows import advanced, reshaped

APPLY = f"SELECT * FROM fastness.apply({', '.join(f'${n}' for n in range(1, 36))})"  # noqa: S608 - numbers

_COMMIT_BYTES = 64
"""Of a commit and of a write, beside keys and values."""


@dataclass(slots=True)
class _Arrays:
    """The arguments, in the function's order."""

    ids: list[int] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    firsts: list[int | None] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)
    highests: list[int] = field(default_factory=list)
    write_slots: list[int] = field(default_factory=list)
    write_stages: list[int] = field(default_factory=list)
    write_times: list[int] = field(default_factory=list)
    write_keys: list[bytes] = field(default_factory=list)
    write_values: list[bytes | None] = field(default_factory=list)
    write_expiries: list[int | None] = field(default_factory=list)
    write_late: list[bool] = field(default_factory=list)
    erased_slots: list[int] = field(default_factory=list)
    erased_stages: list[int] = field(default_factory=list)
    erased_times: list[int] = field(default_factory=list)
    erased_begins: list[bytes] = field(default_factory=list)
    erased_ends: list[bytes] = field(default_factory=list)
    record_slots: list[int] = field(default_factory=list)
    record_names: list[bytes] = field(default_factory=list)
    record_values: list[bytes | None] = field(default_factory=list)
    mark_slots: list[int] = field(default_factory=list)
    mark_names: list[str] = field(default_factory=list)
    mark_values: list[bytes] = field(default_factory=list)
    absorbed_slots: list[int] = field(default_factory=list)
    absorbed_ids: list[int] = field(default_factory=list)
    absorbed_epochs: list[int] = field(default_factory=list)
    born_slots: list[int] = field(default_factory=list)
    born_ids: list[int] = field(default_factory=list)
    born_epochs: list[int] = field(default_factory=list)
    born_applied: list[int] = field(default_factory=list)
    born_horizons: list[int] = field(default_factory=list)
    inherited_ids: list[int] = field(default_factory=list)
    inherited_names: list[bytes] = field(default_factory=list)
    inherited_values: list[bytes] = field(default_factory=list)


_FIELDS = tuple(_Arrays.__dataclass_fields__)


def arguments(batches: Sequence[Batch]) -> list[Any]:
    """The arguments that apply batches of different ranges together."""
    arrays = _Arrays()
    for slot, batch in enumerate(batches, 1):
        _add(arrays, slot, batch)
    return [getattr(arrays, name) for name in _FIELDS]


def check_order(batch: Batch) -> None:
    """Hold the timestamps of a batch's own commits to rising."""
    last = 0
    for commit in batch.commits:
        check(commit.timestamp > last, "commit timestamps of a range strictly increase")
        last = commit.timestamp


def bytes_of(batch: Batch) -> int:
    """About how much is sent for a batch."""
    return sum(
        _COMMIT_BYTES * (1 + len(commit.writes))
        + sum(len(key) + len(value or b"") for key, value in commit.writes.items())
        for commit in (*batch.commits, *batch.resolved)
    ) + sum(len(name) + len(value or b"") for name, value in batch.records.items())


def refusals(batches: Sequence[Batch], rows: Sequence[Any]) -> dict[int, Exception]:
    """Why batches were refused, by their place among those sent."""
    stood: dict[int, dict[int, RangeRow]] = {}
    for row in rows:
        ranges = stood.setdefault(row["slot"] - 1, {})
        if row["range_id"] is not None:
            ranges[row["range_id"]] = range_row(row)
    return {place: _refusal(batches[place], ranges) for place, ranges in stood.items()}


def range_row(row: Any) -> RangeRow:  # noqa: ANN401 - asyncpg has no types
    """How a range stands, by a row of the table of ranges."""
    return RangeRow(
        row["epoch"],
        row["number"],
        row["applied"],
        row["prune_horizon"],
        row["skipped"],
        row["committed"],
    )


def _refusal(batch: Batch, ranges: dict[int, RangeRow]) -> Exception:
    """The error that every store raises for such a batch."""
    try:
        row = advanced(ranges.get(batch.range_id, RangeRow()), batch)
        reshaped(row, batch, ranges)
    except Exception as error:  # noqa: BLE001 - it is handed on
        return error
    return schema_differs(f"batch {batch.number} of range {batch.range_id}")


def schema_differs(what: str) -> StoreUnavailable:
    """What it means that the schema's functions refuse what nothing is wrong with."""
    return StoreUnavailable(
        f"PostgreSQL refused {what}, which nothing is wrong with: the schema is not this "
        "version's; prepare the store again"
    )


def _add(arrays: _Arrays, slot: int, batch: Batch) -> None:
    commits, resolved = batch.commits, batch.resolved
    arrays.ids.append(batch.range_id)
    arrays.epochs.append(batch.epoch)
    arrays.numbers.append(batch.number)
    arrays.firsts.append(commits[0].timestamp if commits else None)
    arrays.lasts.append(commits[-1].timestamp if commits else 0)
    highest = max((one.timestamp for one in resolved), default=0)
    arrays.highests.append(max(highest, arrays.lasts[-1]))
    _add_commits(arrays, slot, batch)
    for name, value in batch.records.items():
        arrays.record_slots.append(slot)
        arrays.record_names.append(name)
        arrays.record_values.append(value)
    for mark, content in batch.marks.items():
        arrays.mark_slots.append(slot)
        arrays.mark_names.append(mark)
        arrays.mark_values.append(content)
    for range_id, epoch in batch.absorbs:
        arrays.absorbed_slots.append(slot)
        arrays.absorbed_ids.append(range_id)
        arrays.absorbed_epochs.append(epoch)
    for born in batch.splits:
        arrays.born_slots.append(slot)
        arrays.born_ids.append(born.range_id)
        arrays.born_epochs.append(born.epoch)
        arrays.born_applied.append(born.applied)
        arrays.born_horizons.append(born.prune_horizon)
        arrays.inherited_ids.extend([born.range_id] * len(born.records))
        arrays.inherited_names.extend(born.records)
        arrays.inherited_values.extend(born.records.values())


def _add_commits(arrays: _Arrays, slot: int, batch: Batch) -> None:
    commits = [(one, False) for one in batch.commits] + [(one, True) for one in batch.resolved]
    stage = 1
    if any(one.erased for one, _late in commits):
        commits.sort(key=lambda pair: pair[0].timestamp)
    for commit, late in commits:
        if commit.erased:
            stage += 1
            for begin, end in commit.erased:
                arrays.erased_slots.append(slot)
                arrays.erased_stages.append(stage)
                arrays.erased_times.append(commit.timestamp)
                arrays.erased_begins.append(begin)
                arrays.erased_ends.append(end)
        _add_writes(arrays, slot, stage, commit, late=late)


def _add_writes(
    arrays: _Arrays, slot: int, stage: int, commit: CommittedWrites, *, late: bool
) -> None:
    writes = commit.writes
    count = len(writes)
    arrays.write_slots.extend([slot] * count)
    arrays.write_stages.extend([stage] * count)
    arrays.write_times.extend([commit.timestamp] * count)
    arrays.write_keys.extend(writes)
    arrays.write_values.extend(writes.values())
    arrays.write_late.extend([late] * count)
    if commit.expiries:
        arrays.write_expiries.extend(map(commit.expiries.get, writes))
    else:
        arrays.write_expiries.extend([None] * count)
