"""Durable steps of a range that are no one-range commits, and travel in the same batches.

Intents, decisions, resolutions, outcomes forgotten, changes of shape: each puts its rows into the
next batch and is told when they are durable. They need no timestamp of that batch.
"""

from __future__ import annotations

from collections.abc import Callable

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.storage.contract import Batch, CommittedWrites, Inherited


class Entry:
    """One such step. `done` or `lost` is called exactly once, unless the range is retired."""

    __slots__ = (
        "absorbs",
        "declared_intervals",
        "declared_keys",
        "done",
        "lost",
        "outcomes",
        "records",
        "resolved",
        "splits",
    )

    def __init__(
        self,
        *,
        records: dict[bytes, bytes | None],
        done: Callable[[], None],
        lost: Callable[[FastnessError], None],
        resolved: CommittedWrites | None = None,
    ) -> None:
        self.records = records
        self.done = done
        self.lost = lost
        """The batch certainly never happened."""
        self.resolved = resolved
        """Writes of a decided transaction, at its own commit timestamp."""
        self.declared_keys: list[bytes] = []
        self.declared_intervals: list[KeyInterval] = []
        """What the resolved transaction declared as written, without a value."""
        self.outcomes: list[tuple[bytes, Timestamp]] = []
        """Transactions that end with it: id, and commit timestamp or 0."""
        self.splits: list[Inherited] = []
        self.absorbs: list[tuple[int, int]] = []

    def write_into(self, batch: Batch) -> None:
        """Add the rows to a batch."""
        batch.records.update(self.records)
        if self.resolved is not None:
            batch.resolved.append(self.resolved)
        batch.splits += self.splits
        batch.absorbs += self.absorbs
