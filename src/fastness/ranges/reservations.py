"""Reservations: how a transaction that keeps losing gets its turn.

Optimistic transactions can starve: an old, long one is overtaken by short ones for ever. So
after a few conflicts the library reserves, for a bounded time, what the failed attempt had
read. While the reservation stands, a younger commit that writes any of it waits until it is
released or runs out; an older one passes (first-attempt timestamps decide, ties by id), so
two holders never wait for each other (CONSISTENCY, section 1.7).
"""

from __future__ import annotations

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.ranges.commit import Commit, OpenBatch


class Reservation:
    """What one starving transaction reserved, until when (nanoseconds of the boot clock)."""

    __slots__ = ("ends_ns", "intervals", "keys", "owner")

    def __init__(
        self,
        *,
        owner: tuple[Timestamp, bytes],
        keys: set[bytes],
        intervals: list[KeyInterval],
        ends_ns: int,
    ) -> None:
        self.owner = owner
        self.keys = keys
        self.intervals = intervals
        self.ends_ns = ends_ns


class Reservations:
    """The reservations of one range and the commits they hold back."""

    __slots__ = ("_held", "_waiting")

    def __init__(self) -> None:
        self._held: list[Reservation] = []
        self._waiting: list[Commit] = []

    @property
    def waiting(self) -> int:
        """How many commits are held back."""
        return len(self._waiting)

    def add(self, reservation: Reservation) -> None:
        """Let a reservation stand."""
        self._held.append(reservation)

    def remove(self, reservation: Reservation) -> None:
        """Release a reservation; one that ran out before is gone already."""
        if reservation in self._held:
            self._held.remove(reservation)

    def expire(self, boot_ns: int) -> bool:
        """Drop the reservations that have run out; whether there were any."""
        if not self._held:
            return False
        kept = [held for held in self._held if held.ends_ns > boot_ns]
        ended = len(kept) != len(self._held)
        self._held = kept
        return ended

    def reserved(self, commit: Commit) -> bool:
        """Whether an older transaction reserved something the commit writes."""
        if not self._held:
            return False
        older = [held for held in self._held if held.owner < commit.priority]
        if not older:
            return False
        written = OpenBatch()
        written.join(commit)
        return any(written.overlaps(held.keys, held.intervals) is not None for held in older)

    def holds_back(self, commit: Commit) -> bool:
        """Whether an older transaction reserved what the commit writes; it then waits here."""
        if self._held and self.reserved(commit):
            self._waiting.append(commit)
            return True
        return False

    def take_waiting(self) -> list[Commit]:
        """Everybody held back, to be validated again."""
        waiting, self._waiting = self._waiting, []
        return waiting
