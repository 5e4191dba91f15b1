"""A deliberately dumb store: the list of all commits, searched from its end for every read."""

from __future__ import annotations

from bisect import insort_right
from dataclasses import dataclass, field

from fastness.encoding.intervals import KeyInterval
from fastness.storage import CommittedWrites, Item
from fastness.storage.cells import expiring, plain


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

    def changes(self, after: int, up_to: int) -> list[tuple[int, list[tuple[bytes, bytes | None]]]]:
        """The commits in an interval of timestamps that changed something."""
        return [
            (commit.timestamp, sorted(commit.cells.items()))
            for commit in self.commits
            if after < commit.timestamp <= up_to and commit.cells
        ]
