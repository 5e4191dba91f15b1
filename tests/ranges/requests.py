"""Commit requests as a client would hand them over, for tests of the range alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from fastness.encoding import counters
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.limits import Limits
from fastness.ranges import AtomicKind, AtomicOperation, Commit, Range, Stamped
from fastness.storage.contract import Batch, RangeState

_numbers = count(1)


def request(  # noqa: PLR0913 - every part of a request, each by its name
    *,
    at: Timestamp = 0,
    reads: Sequence[bytes] = (),
    scans: Sequence[tuple[bytes, bytes]] = (),
    writes: Mapping[bytes, bytes | None] | None = None,
    erased: Sequence[tuple[bytes, bytes]] = (),
    additions: Mapping[bytes, Sequence[int]] | None = None,
    stamped: Sequence[Stamped] = (),
    alive_until: Timestamp = 0,
    age: int | None = None,
    size: int = 1,
) -> Commit:
    """A commit that read at `at`; `age` orders priorities (the lower is the older)."""
    number = next(_numbers)
    identity = number.to_bytes(16, "big")
    commit = Commit(
        read_timestamp=at,
        priority=(at if age is None else age, identity),
        identity=identity,
    )
    commit.read_keys = set(reads)
    commit.read_intervals = [KeyInterval(*scan) for scan in scans]
    commit.writes = dict(writes or {})
    commit.erased = [KeyInterval(*interval) for interval in erased]
    if additions:
        commit.atomics = {
            key: [AtomicOperation(AtomicKind.ADD, counters.encode(amount)) for amount in amounts]
            for key, amounts in additions.items()
        }
    commit.stamped_keys = list(stamped) or None
    commit.alive_until = alive_until
    commit.bytes = size
    return commit


def new_range(limits: Limits | None = None, *, visible: Timestamp = 0) -> Range:
    """A range just opened at epoch 1, whose store has applied everything up to `visible`."""
    state = RangeState(range_id=1, epoch=1, batch_number=0, applied=visible, prune_horizon=0)
    return Range(state, visible=visible, limits=limits or Limits())


def written(owned: Range, first: Timestamp) -> Batch | None:
    """Close the open batch at a block from `first` on; no key of it holds anything yet."""
    return owned.close(first, dict.fromkeys(owned.atomic_keys()))


def committed(owned: Range, first: Timestamp) -> list[Commit]:
    """Close the open batch, let it become durable; who is settled."""
    written(owned, first)
    return owned.applied()
