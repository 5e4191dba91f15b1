"""Ledgers written down attempt by attempt, one after another in real time unless begun earlier."""

from __future__ import annotations

from fastness.testing import Outcome
from fastness.testing.ledger import Attempt, Effect, Ledger, Scanned


class Script:
    """A ledger in the making."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    @property
    def attempts(self) -> list[Attempt]:
        """What was written down so far."""
        return self.ledger.attempts

    def attempt(
        self,
        *writes: Effect,
        reads: dict[bytes, bytes | None] | None = None,
        scans: tuple[Scanned, ...] = (),
        at: int = 0,
        commits: int = 0,
        outcome: Outcome = Outcome.OK,
        process: int = 0,
        past: bool = False,
    ) -> Attempt:
        """An attempt that begins after everything before has ended."""
        one = self.ledger.begin(process)
        one.writes.extend(writes)
        one.reads.extend((reads or {}).items())
        one.scans.extend(scans)
        one.past = past
        one.end(outcome, read_timestamp=at, commit_timestamp=commits)
        return one


def scan(begin: bytes, end: bytes, **entries: bytes) -> Scanned:
    """A scan of an interval, its entries given by name."""
    found = sorted((key.encode(), value) for key, value in entries.items())
    return Scanned(begin, end, tuple(found))
