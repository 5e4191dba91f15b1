"""A deliberately dumb store: the list of all commits, searched from its end for every read."""

from __future__ import annotations

from bisect import insort_right
from collections.abc import Callable
from dataclasses import dataclass, field

from fastness.encoding.intervals import KeyInterval
from fastness.storage import CommittedWrites, Item
from fastness.storage.cells import expiring, lasting, plain, value_of

HorizonOf = Callable[[bytes], int]
"""Up to where the range that answers for a key may have pruned."""
Told = list[tuple[int, list[tuple[bytes, bytes | None]]]]
"""Changes: a timestamp, and the values given to keys."""


@dataclass
class ModelCommit:
    """A commit with the keys it changed and the cells it gave them."""

    timestamp: int
    cells: dict[bytes, bytes | None]


@dataclass
class VersionModel:
    """Every commit ever made, by timestamp."""

    commits: list[ModelCommit] = field(default_factory=list)

    def get(self, key: bytes, at: int) -> bytes | None:
        """The cell of a key at a timestamp."""
        for commit in reversed(self.commits):
            if commit.timestamp <= at and key in commit.cells:
                return commit.cells[key]
        return None

    def scan(self, interval: KeyInterval, at: int, limit: int, *, reverse: bool) -> list[Item]:
        """The first keys of an interval at a timestamp."""
        keys = sorted({key for commit in self.commits for key in commit.cells}, reverse=reverse)
        found = []
        for key in keys:
            cell = self.get(key, at) if interval.contains(key) else None
            if cell is not None:
                found.append((key, cell))
        return found[:limit]

    def apply(self, commit: CommittedWrites) -> None:
        """Add a commit, perhaps below others; only keys that change are part of it."""
        at = commit.timestamp
        cells: dict[bytes, bytes | None] = {}
        for interval in commit.erased:
            cells.update(
                dict.fromkeys(key for key, _cell in self.scan(interval, at, 999, reverse=False))
            )
        for key, value in commit.writes.items():
            expires_at = (commit.expiries or {}).get(key)
            if value is None:
                cells[key] = None
            elif expires_at is None:
                cells[key] = plain(at, value)
            else:
                cells[key] = expiring(at, expires_at, value)
        effective = {
            key: cell
            for key, cell in cells.items()
            if cell is not None or self.get(key, at) is not None
        }
        insort_right(self.commits, ModelCommit(at, effective), key=lambda made: made.timestamp)

    def changes(self, after: int, up_to: int) -> Told:
        """The commits in an interval of timestamps that changed something."""
        return [
            (
                commit.timestamp,
                sorted(
                    (key, None if cell is None else value_of(cell))
                    for key, cell in commit.cells.items()
                ),
            )
            for commit in self.commits
            if after < commit.timestamp <= up_to and commit.cells
        ]

    def certain(self, told: Told, horizon_of: HorizonOf) -> Told:
        """Changes without those that a store lists or not: deletions of what had expired.

        It was removed before, or was not yet; a commit that did nothing else is left out.
        """
        left = []
        for timestamp, writes in told:
            kept = [
                (key, value)
                for key, value in writes
                if value is not None
                or lasting(self.get(key, timestamp - 1), horizon_of(key)) is not None
            ]
            if kept:
                left.append((timestamp, kept))
        return left


def require_same_scan(
    found: list[Item],
    everything: list[Item],
    limit: int,
    horizon_of: HorizonOf,
    *,
    reverse: bool = False,
) -> None:
    """Hold a store's scan to the model's of the same interval, without a limit.

    Of what had expired at or below the horizon some may be there still, within the limit.
    """
    assert len(found) <= limit
    covered = everything
    if len(found) == limit:
        last = found[-1][0]
        covered = [one for one in everything if (one[0] >= last if reverse else one[0] <= last)]
    assert _lasting(found, horizon_of) == _lasting(covered, horizon_of)
    assert set(found) <= set(everything)


def _lasting(items: list[Item], horizon_of: HorizonOf) -> list[Item]:
    return [(key, cell) for key, cell in items if lasting(cell, horizon_of(key)) is not None]
