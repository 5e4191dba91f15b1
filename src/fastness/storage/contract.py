"""What a store must do: the contract every implementation passes the conformance suite of.

A store is the durable home of many ranges. It keeps every value in versions, and keeps the
newest version of each key where one point lookup finds it::

    newest    key                 -> cell                      the newest versions
    history   key, ended          -> cell                      overwritten versions: each was
                                                               the newest in [committed, ended)
    log       commit timestamp    -> keys written              in commit order
    expiry    gone from, key      -> nothing                   versions that expire, in that order
    state     name                -> bytes                     range rows, the records ranges keep
                                                               for themselves, small marks

An absence needs no row: a key is absent at T when neither its newest cell nor a history row
covers T. `fastness.storage.cells` says how a cell looks.

Calls are synchronous; reads may come from any thread at any time, also while another thread
is inside `apply` or `sync`. `apply`, `open_range`, `settle`, `record` and `prune` come from one
thread at a time (the host's lock sees to that).

**Which range answers for a key** the store does not know: splits and merges change it, and a
version bears no range. So pruning is told the interval, and under which epoch it was so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError

Item = tuple[bytes, bytes]
"""A key and its cell."""

EPOCH_MAX = (1 << 63) - 1
"""The epoch of a range that is closed for good: no batch is ever applied under it."""


@dataclass(slots=True)
class CommittedWrites:
    """The writes of one transaction at its commit timestamp.

    `erased` intervals are applied first, then `writes` (`None` deletes). `expiries` names
    the written keys whose value expires, and when.
    """

    timestamp: Timestamp
    writes: dict[bytes, bytes | None]
    erased: tuple[KeyInterval, ...] = ()
    expiries: dict[bytes, Timestamp] | None = None


@dataclass(slots=True)
class Inherited:
    """A range born by a split, with what it starts with: open at `epoch`, its next batch is 1.

    Its id was never used in this store, and its horizon is at or above that of the range it
    was split from.
    """

    range_id: int
    epoch: int
    applied: Timestamp
    prune_horizon: Timestamp
    records: dict[bytes, bytes]


@dataclass(slots=True)
class Batch:
    """One atomic write of one range: all of it becomes visible and durable, or none.

    `number` is the previous batch's number of this range plus one. Within a batch what has the
    lower timestamp comes first, whichever list it is in.
    """

    range_id: int
    epoch: int
    number: int
    commits: list[CommittedWrites]
    """Transactions of this range alone. Their timestamps rise, each above all such before."""
    marks: dict[str, bytes] = field(default_factory=dict)
    """Entries of the state table written along."""
    resolved: list[CommittedWrites] = field(default_factory=list)
    """This range's parts of decided transactions across ranges, in any order.

    Their timestamps may lie below what was applied, but are above every version of the keys
    they write, as their locks see to. What their erased intervals hold of versions above them
    is left alone. A transaction both of whose ranges were merged is one commit in the end.
    """
    records: dict[bytes, bytes | None] = field(default_factory=dict)
    """Records of the range itself to write; `None` removes one."""
    splits: list[Inherited] = field(default_factory=list)
    """Ranges born with this batch."""
    absorbs: list[tuple[int, int]] = field(default_factory=list)
    """Id and epoch of ranges of this store that this batch merges into its own.

    They are closed for good and their records removed: `records` has those to keep. The
    range's `applied` and prune horizon become the highest of all.
    """


@dataclass(frozen=True, slots=True)
class RangeState:
    """What a store knows of a range when it is opened."""

    range_id: int
    epoch: int
    """The epoch just opened."""
    batch_number: int
    """The number used last, by a batch applied or one given up by `settle`; 0 for none."""
    applied: Timestamp
    """The highest commit timestamp applied, 0 for none."""
    prune_horizon: Timestamp
    """Snapshots below it are no longer complete."""
    records: dict[bytes, bytes] = field(default_factory=dict)
    """The range's own records, all of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """The keys one transaction changed, with the values it gave them (`None`: deleted).

    In key order. Deleting what was absent changes nothing and is not listed; a transaction
    that changed nothing has no `Change`. That a value has expired is no change, nor is its
    removal: `expiries` tells beforehand when it will. Deleting one is listed until it is removed.
    """

    timestamp: Timestamp
    writes: tuple[tuple[bytes, bytes | None], ...]
    expiries: tuple[tuple[bytes, Timestamp], ...] = ()
    """The written keys whose value expires, and when."""


class Version(NamedTuple):
    """One version of a key, as it is carried from one store to another."""

    cell: bytes
    ended: Timestamp
    """When it was overwritten or deleted; 0 for the newest."""


KeyVersions = tuple[bytes, list[Version]]
"""A key and its versions, the oldest first."""


class Selection(NamedTuple):
    """Keys whose versions are wanted, as those versions were at `up_to`.

    Nothing may be committed at or below `up_to` any more. With `after` only the keys that
    changed above it, also those of which nothing is left.
    """

    interval: KeyInterval
    up_to: Timestamp
    after: Timestamp
    horizon: Timestamp
    """At or above the range's own. What nobody at or above it sees is left out."""
    bytes_max: int
    """About how much is answered at a time; a key's versions are never parted."""


class Portion(NamedTuple):
    """The first keys of a selection, in order."""

    keys: list[KeyVersions]
    rest: bytes | None
    """Where the rest begins, `None` where that was all."""


@dataclass(frozen=True, slots=True)
class Load:
    """One atomic write to a range being built: its batch of that `number`, fenced alike.

    Each key gets these versions in place of those it has. `born` ends the building: the range's
    records, and how high it was applied; its prune horizon is `horizon`.
    """

    range_id: int
    epoch: int
    number: int
    keys: list[KeyVersions]
    horizon: Timestamp
    born: Inherited | None = None


@dataclass(frozen=True, slots=True)
class StoreSize:
    """Sizes in bytes and estimated row counts."""

    bytes_on_disk: int
    newest_keys: int
    history_versions: int
    log_entries: int


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing `verify` found wrong: where, and what."""

    place: str
    what: str


class Store(Protocol):
    """The durable home of many ranges; see the module's page for the order of calls.

    Errors: `StoreUnavailable` after any failed write or sync (the store has then closed
    itself: nothing undurable is ever shown), `DiskFull`, `StoreReadOnly`, `StoreDamaged`
    when stored bytes fail a check, `Fenced` for a batch under an old epoch.
    """

    newest: Callable[[bytes], bytes | None]
    """The newest cell of a key, or `None`. The hot path: bound to the engine's own call."""

    @property
    def identity(self) -> str:
        """The random id this store was created with (32 hexadecimal digits)."""
        ...

    @property
    def applied(self) -> Timestamp:
        """The highest commit timestamp ever applied, over all ranges."""
        ...

    def open_range(self, range_id: int, epoch: int) -> RangeState:
        """Open a range at `epoch`, durably; `Fenced` unless it is above every earlier one.

        From the moment this returns no batch of an older epoch can be applied. A range that
        was merged into another is `Fenced` at every epoch; `EPOCH_MAX` closes one for good.
        """
        ...

    def range_epoch(self, range_id: int) -> int:
        """The highest epoch opened for a range, 0 for none."""
        ...

    def range_number(self, range_id: int) -> int:
        """The number of the batch a range used last, -1 for a range that was never opened."""
        ...

    def range_records(self, range_id: int) -> dict[bytes, bytes]:
        """The records of a range, by name, in order."""
        ...

    def settle(self, range_id: int, epoch: int, number: int) -> bool:
        """Whether batch `number`, whose answer was lost, was applied; durably so.

        If it was not, its number is used up: the batch can never be applied any more (it is
        `Fenced`), and the next one is `number` + 1. Asked again it answers the same. `Fenced`
        if `epoch` is not the one open; `CommitsMissing` if batches before it are; an
        invariant for a number below one used up.
        """
        ...

    def get(self, key: bytes, at: Timestamp) -> bytes | None:
        """The cell of the version newest at `at`; `None` if absent then.

        One that had expired is given as it is, or as `None` where pruning has removed it.
        """
        ...

    def get_many(self, keys: Sequence[bytes], at: Timestamp) -> list[bytes | None]:
        """As `get` for each key, in the order asked."""
        ...

    def scan(
        self, interval: KeyInterval, *, at: Timestamp, limit: int, reverse: bool = False
    ) -> list[Item]:
        """The first `limit` keys of the interval present at `at`, with their cells.

        In key order, or against it. Complete: damage raises, it never shortens the list.
        """
        ...

    def scan_newest(
        self, interval: KeyInterval, *, limit: int, reverse: bool = False
    ) -> list[Item]:
        """As `scan` of the newest versions, from one consistent view of the store."""
        ...

    def apply(self, batch: Batch) -> None:
        """Write a batch atomically; visible at once, durable after the next `sync`.

        Every overwritten or deleted version moves to history, ended at the overwriting
        commit's timestamp. Raises `Fenced` when the batch's epoch, or that of a range it
        absorbs, is not the one opened last, and an invariant when its number or timestamps are
        out of order.
        """
        ...

    def sync(self) -> None:
        """Make every applied batch durable. Releases the interpreter lock while it waits."""
        ...

    def failure(self, error: Exception) -> FastnessError:
        """What an exception that `newest` let through means to the caller.

        `newest` is the engine's own call, so its errors are the engine's: whoever calls it
        directly catches `Exception` and does `raise store.failure(error) from error`.
        """
        ...

    def state(self, name: str) -> bytes | None:
        """A mark written by a batch's `marks` or by `record`."""
        ...

    def record(self, marks: dict[str, bytes | None]) -> None:
        """Write marks atomically and durably (`None` removes one)."""
        ...

    def changes(self, after: Timestamp, up_to: Timestamp, limit: int) -> list[Change]:
        """The first `limit` commits in (after, up_to], in commit order.

        A transaction that wrote in two ranges of this store is two commits of one timestamp;
        they are never parted, so the answer may be longer than `limit`. Raises `SnapshotTooOld`
        when `after` lies below what pruning has kept.
        """
        ...

    def prune(
        self,
        range_id: int,
        interval: KeyInterval,
        horizon: Timestamp,
        limit: int,
        *,
        epoch: int | None = None,
    ) -> int:
        """One bounded step of removing what no reader of `interval` at or above `horizon` needs.

        `interval` holds the keys the range answers for. What goes are their versions that ended
        at or below the horizon, and the log entries of those commits; an entry that names keys
        of other ranges too loses this range's. Then the newest versions that were committed and
        have expired at or below the horizon go, as if they had been deleted, but by no commit.
        The horizon rises at once, is as durable as what is removed, and never sinks: only what
        was resolved late is ever applied at or below it.

        Returns the rows removed or rewritten and the rows of others passed over, together
        at most `limit`; 0 means that nothing is left to do at or below the horizon. Raises
        `Fenced` for a range closed for good, and if `epoch` is given and not the one open:
        a leaseholder deposed meanwhile no longer knows which keys are the range's.
        """
        ...

    def versions(self, range_id: int, wanted: Selection) -> Portion:
        """The versions of a range's keys, to be carried to another store.

        Raises `SnapshotTooOld` where changes after `wanted.after` are pruned.
        """
        ...

    def load(self, load: Load) -> None:
        """Write versions of a range being built, visible at once, durable after the next `sync`.

        Nobody may answer for the keys but this range. Raises `Fenced` as `apply` does.
        """
        ...

    def drop(self, range_id: int, epoch: int, interval: KeyInterval, limit: int) -> int:
        """Remove every version of an interval's next keys, durably, and what the log has of them.

        About `limit` rows a call; answers how many, 0 once nothing is left. For leftovers of a
        range that was moved away, or of one whose building was given up. `Fenced` unless `epoch`
        is the one open.
        """
        ...

    def prune_horizon(self, range_id: int) -> Timestamp:
        """The highest horizon ever given to `prune` for this range."""
        ...

    def size(self) -> StoreSize:
        """Sizes now; counts may be estimates."""
        ...

    def checkpoint(self, target: Path) -> None:
        """A consistent, durable copy at `target`, which must not exist. Writers go on."""
        ...

    def verify(self, progress: Callable[[int], None] = lambda _done: None) -> list[Damage]:
        """Read everything, check checksums, order and that versions of a key do not overlap."""
        ...

    def close(self) -> None:
        """Sync, then release every resource. Idempotent."""
        ...
