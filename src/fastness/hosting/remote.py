"""Stores as a node asks them: a PostgreSQL cluster far away, or a directory of this machine.

The contract of `storage.Store`, with answers that arrive later by a callback on the loop of the
process; a store that can answers reads at once. Calls may overtake each other; what a leaseholder
relies on is the fence: a batch applies only under the current epoch and as the next number of
its range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.hosting.portions import Room
from fastness.ranges.requests import Interval, Scan
from fastness.storage.contract import Batch, Change, KeyVersions, Load, RangeState


class StoreRead(msgspec.Struct, frozen=True, array_like=True):
    """Point reads and at most one scan of a range, all as of `at`.

    The scan asks for one entry more than its limit where it must know whether there are more:
    that is the caller's affair.
    """

    range_id: int
    keys: list[bytes]
    at: Timestamp
    scan: Scan | None = None
    room: Room | None = None
    """How much may be answered, to `read_at_once`: the first of it. `None`: all that was asked."""


class StorePrune(msgspec.Struct, frozen=True, array_like=True):
    """One step of pruning an interval of a range below `horizon`, `limit` rows at most.

    Fenced like a batch: a late step of a deposed holder could take from a range that was split
    off meanwhile what its readers may still see.
    """

    range_id: int
    epoch: int
    interval: Interval
    horizon: Timestamp
    limit: int


class StoreAnswer(msgspec.Struct, frozen=True, array_like=True):
    """Cells and entries as stored, and where the range stood when they were read.

    `number` is the range's last applied batch, -1 where the store knows no such range: an answer
    below what was acknowledged comes from a demoted primary, perhaps one from before the range was
    split off, and is refused. `prune_horizon` was looked at after the rows were read.
    """

    cells: list[bytes | None]
    entries: list[tuple[bytes, bytes]]
    number: int
    prune_horizon: Timestamp
    cut: bool = False
    """Whether there was no room for more entries; cells that had none are left out as well."""


class StoreSelection(msgspec.Struct, frozen=True, array_like=True):
    """The versions of some keys of a range, to be carried elsewhere: see `storage.Selection`."""

    range_id: int
    interval: Interval
    up_to: Timestamp
    after: Timestamp
    horizon: Timestamp
    bytes_max: int


class StorePortion(msgspec.Struct, frozen=True, array_like=True):
    """The first keys of a selection; `number` as in `StoreAnswer`."""

    keys: list[KeyVersions]
    rest: bytes | None
    """Where the rest begins, `None` where that was all."""
    number: int


class StoreDrop(msgspec.Struct, frozen=True, array_like=True):
    """One step of removing an interval's rows, about `limit`; fenced like a batch."""

    range_id: int
    epoch: int
    interval: Interval
    limit: int


class RemoteStore(Protocol):
    """One store as one node sees it.

    Errors handed to `done`: `Fenced` (a higher epoch was opened: give the range up), `Unreachable`
    (no answer: an `apply` or `open_range` may or may not have happened), `StoreError`s.
    """

    def open_range(
        self, range_id: int, epoch: int, done: Callable[[RangeState | FastnessError], None]
    ) -> None:
        """Open a range at `epoch`, durably, and load its records."""
        ...

    def apply(self, batch: Batch, done: Callable[[FastnessError | None], None]) -> None:
        """Write a batch atomically and durably. `Unreachable` means in doubt: ask `settle`."""
        ...

    def settle(
        self, range_id: int, epoch: int, number: int, done: Callable[[bool | FastnessError], None]
    ) -> None:
        """Whether that batch was applied; if not, it never will be (its number is used up)."""
        ...

    @property
    def refusal(self) -> FastnessError | None:
        """Why no write succeeds for now, as far as is known. New commits are refused with it."""
        ...

    def read_at_once(self, request: StoreRead) -> StoreAnswer | None:
        """What `read` would be answered, where reading waits for nobody; `None`: use `read`.

        Raises what `read` would hand to `done`.
        """
        ...

    def read(self, request: StoreRead, done: Callable[[StoreAnswer | FastnessError], None]) -> None:
        """Read as of `request.at`."""
        ...

    def prune(self, request: StorePrune, done: Callable[[int | FastnessError], None]) -> None:
        """Prune one step; how many rows went."""
        ...

    def versions(
        self, request: StoreSelection, done: Callable[[StorePortion | FastnessError], None]
    ) -> None:
        """The versions of some keys, to be carried to another store."""
        ...

    def load(self, load: Load, done: Callable[[FastnessError | None], None]) -> None:
        """Write versions to a range being built, durably; as `apply`, and settled alike."""
        ...

    def drop(self, request: StoreDrop, done: Callable[[int | FastnessError], None]) -> None:
        """Remove the next rows of an interval; how many went, 0 once nothing is left."""
        ...

    def changes(
        self,
        after: Timestamp,
        up_to: Timestamp,
        limit: int,
        done: Callable[[list[Change] | FastnessError], None],
    ) -> None:
        """The first `limit` commits in (after, up_to], in commit order (`Store.changes`)."""
        ...
