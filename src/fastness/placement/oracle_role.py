"""The timestamp oracle of a cluster: what its holder keeps beside the timestamps. Pure.

::

    shell                                 role
      |-- draw(caller, count) ------------->|   the block's first, or None: queued
      |<--------------- ceiling_wanted() ---|   the ceiling to make durable, 0 for none
      |   (writes it at the coordinator)    |
      |-- ceiling_raised(ceiling) --------->|
      |<--------------------- next_draw() --|   those that waited, in order, one by one

The shell asks the lease at the instant of each block: no block is issued after the lease ended,
since a successor may have issued higher ones that somebody has seen already.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from fastness.encoding.timestamps import Timestamp
from fastness.errors import Overloaded
from fastness.placement.oracle import TimestampOracle
from fastness.ranges.ports import Caller


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive timestamps for one caller."""

    caller: Caller
    first: Timestamp
    count: int


class OracleRole:
    """See the module's page."""

    __slots__ = ("_oracle", "_queue", "_queued", "_queued_max")

    def __init__(
        self,
        *,
        start: Timestamp,
        wall_ms: int,
        boot_ns: int,
        ceiling_ms: int,
        queued_max: int,
    ) -> None:
        """Start above `start`: the durable ceiling, and every timestamp known to be issued.

        Nothing is issued before the ceiling was raised once.
        """
        self._oracle = TimestampOracle(
            start=start, ceiling=0, wall_ms=wall_ms, boot_ns=boot_ns, ceiling_ms_ahead=ceiling_ms
        )
        self._queued_max = queued_max
        self._queue: deque[tuple[Caller, int]] = deque()
        self._queued = 0
        """Timestamps those in the queue want, all together."""

    @property
    def clock_jumps(self) -> int:
        """Jumps of the wall clock that were not followed."""
        return self._oracle.clock_jumps

    @property
    def queued(self) -> int:
        """Callers waiting for the ceiling."""
        return len(self._queue)

    def observe(self, wall_ms: int, boot_ns: int) -> None:
        """Take in what the clocks say, before each block."""
        self._oracle.observe(wall_ms, boot_ns)

    def draw(self, caller: Caller, count: int, *, reading: bool = False) -> Block | None:
        """A block, or `None`: it waits for the ceiling. `Overloaded` if too many do.

        A reader never waits, so that reads go on while the ceiling cannot be raised: it is given
        the highest timestamp issued once more. Whatever was committed before it asked is at or
        below that, and whatever is committed later is above it, or was waited for by its locks.
        """
        first = self.issue(count)
        if first is not None:
            return Block(caller, first, count)
        if reading and count == 1 and self._oracle.issued:
            return Block(caller, self._oracle.issued, 1)
        if len(self._queue) >= self._queued_max:
            raise Overloaded(
                f"{len(self._queue)} requests for timestamps wait for the oracle's ceiling: try "
                "again in a moment"
            )
        self._queue.append((caller, count))
        self._queued += count
        return None

    def issue(self, count: int) -> Timestamp | None:
        """The first of a block at once, `None` where it would have to wait."""
        return None if self._queue else self._oracle.issue(count)

    def ceiling_wanted(self) -> Timestamp:
        """The ceiling to make durable now, before it is in the way; 0 while it is high enough."""
        oracle = self._oracle
        count, now = self._queued + 1, oracle.now()
        wanted = max(oracle.ceiling_wanted(count), now + count)
        if wanted <= oracle.ceiling:
            return 0
        # Raised when less than half is left of what raising it would give: rarely, both when
        # the clock leads and when timestamps run ahead of the clock, with little room each.
        scarce = 2 * (oracle.ceiling - now) < wanted - now
        return wanted if self._queue or scarce else 0

    def ceiling_raised(self, ceiling: Timestamp) -> None:
        """The ceiling is durable, by the holder of the role."""
        self._oracle.raise_ceiling(ceiling)

    def next_draw(self) -> Block | None:
        """The next of those that waited, or `None`: nobody waits, or the ceiling is in the way."""
        if not self._queue:
            return None
        caller, count = self._queue[0]
        first = self._oracle.issue(count)
        if first is None:
            return None
        self._queue.popleft()
        self._queued -= count
        return Block(caller, first, count)

    def give_up(self) -> list[Caller]:
        """Everybody who still waits, to be refused: the role has ended."""
        callers = [caller for caller, _count in self._queue]
        self._queue.clear()
        self._queued = 0
        return callers
