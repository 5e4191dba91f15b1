"""How the row of a range moves on: opened, advanced by a batch, settled, split and merged.

Here batches are fenced: by epoch, then by number, then by what their timestamps may be. Every
function returns rows; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastness.errors import CommitsMissing, Fenced, LimitExceeded
from fastness.invariants import check
from fastness.storage.contract import EPOCH_MAX, Batch, Inherited, Load
from fastness.storage.layout import RangeRow
from fastness.storage.moving import highest

ASK = "ask the range map for the present leaseholder"


def opened(row: RangeRow, range_id: int, epoch: int) -> RangeRow:
    """The range's row under a newly opened epoch; `Fenced` unless it is the highest."""
    if epoch <= row.epoch:
        raise _fenced(row, range_id, f"it cannot be opened at epoch {epoch}")
    if epoch > EPOCH_MAX:
        raise LimitExceeded(f"epoch {epoch} is above {EPOCH_MAX}")
    return row._replace(epoch=epoch)


def held(row: RangeRow, range_id: int, epoch: int | None, doing: str) -> None:
    """Raise `Fenced` unless the range is open, and at `epoch` where one is given."""
    if row.epoch == EPOCH_MAX or (epoch is not None and epoch != row.epoch):
        raise _fenced(row, range_id, f"{doing} under epoch {epoch} is refused")


def advanced(row: RangeRow, batch: Batch) -> RangeRow:
    """The range's row after `batch`; `Fenced` under another epoch than the one opened last."""
    if batch.epoch != row.epoch or row.epoch == EPOCH_MAX:
        raise _fenced(row, batch.range_id, f"a batch of epoch {batch.epoch} is refused")
    if batch.number != row.batch_number + 1:
        raise _out_of_turn(row, batch)
    committed = row.committed
    for commit in batch.commits:
        check(commit.timestamp > committed, "commit timestamps of a range strictly increase")
        committed = commit.timestamp
    check(
        not batch.commits or batch.commits[0].timestamp > row.prune_horizon,
        "no commit is at or below the prune horizon",
    )
    applied = max(row.applied, committed)
    for commit in batch.resolved:
        applied = max(applied, commit.timestamp)
    return RangeRow(row.epoch, batch.number, applied, row.prune_horizon, row.skipped, committed)


def loaded(row: RangeRow, load: Load) -> RangeRow:
    """The range's row after a step of its building; fenced as a batch is."""
    held(row, load.range_id, load.epoch, "loading it")
    if load.number != row.batch_number + 1:
        raise _out_of_turn(row, load)
    applied = max(row.applied, highest(load.keys))
    if load.born is None:
        # Of what is being built nobody reads, but the store's own bounds are told by its rows.
        return row._replace(batch_number=load.number, applied=applied)
    check(applied <= load.born.applied, "nothing was carried from above what was applied")
    applied = load.born.applied
    return RangeRow(load.epoch, load.number, applied, load.horizon, row.skipped, applied)


def settled(row: RangeRow, range_id: int, epoch: int, number: int) -> RangeRow:
    """The range's row once batch `number` was applied or never can be: then as `skipped`."""
    held(row, range_id, epoch, f"asking for batch {number}")
    check(number > 0, "batches are numbered from 1")
    check(row.skipped <= number, "only a batch that was due is asked for")
    _require_before(row, range_id, number)
    if number <= row.batch_number:
        return row
    return row._replace(batch_number=number, skipped=number)


def reshaped(row: RangeRow, batch: Batch, ranges: Mapping[int, RangeRow]) -> dict[int, RangeRow]:
    """The rows of all ranges a batch changes; `row` is its own range's, as `advanced` made it."""
    changed: dict[int, RangeRow] = {}
    for range_id, epoch in batch.absorbs:
        check(range_id != batch.range_id and range_id not in changed, "a range is absorbed once")
        absorbed = ranges.get(range_id, RangeRow())
        held(absorbed, range_id, epoch, f"merging it into range {batch.range_id}")
        check(absorbed.epoch > 0, "only a range that was opened is absorbed")
        changed[range_id] = absorbed._replace(epoch=EPOCH_MAX)
        row = row._replace(
            applied=max(row.applied, absorbed.applied),
            prune_horizon=max(row.prune_horizon, absorbed.prune_horizon),
            committed=max(row.committed, absorbed.committed),
        )
    for born in batch.splits:
        check(born.range_id not in ranges, "a range is born under an id never used")
        check(born.range_id not in changed, "two ranges are born under two ids")
        changed[born.range_id] = _born(born, row)
    changed[batch.range_id] = row
    return changed


def _born(born: Inherited, parent: RangeRow) -> RangeRow:
    check(0 < born.epoch < EPOCH_MAX, "a range is born at an epoch it can be open at")
    check(
        born.prune_horizon >= parent.prune_horizon,
        "a range is born with at least the horizon of the one it was split from",
    )
    committed = min(parent.committed, born.applied)
    return RangeRow(born.epoch, 0, born.applied, born.prune_horizon, 0, committed)


def _out_of_turn(row: RangeRow, batch: Batch | Load) -> Fenced:
    """What a wrong number means: the late original of a batch given up, loss, or a mistake."""
    _require_before(row, batch.range_id, batch.number)
    check(batch.number == row.skipped, "batches of a range follow each other by number")
    return Fenced(
        f"batch {batch.number} of range {batch.range_id} was given up when its answer was asked "
        "for, and cannot be applied any more: run its transactions again"
    )


def _require_before(row: RangeRow, range_id: int, number: int) -> None:
    """Raise `CommitsMissing` unless the batches before this one, all acknowledged, are there."""
    if number > row.batch_number + 1:
        raise CommitsMissing(
            f"batch {number} of range {range_id} is due, but the store's last one is "
            f"{row.batch_number}: it has lost commits it had acknowledged, as a server does that "
            "is promoted without having been a synchronous standby; look for them in the old "
            "primary"
        )


def _fenced(row: RangeRow, range_id: int, refused: str) -> Fenced:
    if row.epoch == EPOCH_MAX:
        return Fenced(
            f"range {range_id} was merged into another or moved away, and is closed for good in "
            f"this store, so {refused}: {ASK}"
        )
    return Fenced(f"range {range_id} is open at epoch {row.epoch}, so {refused}: {ASK}")
