"""The bytes that a node remembers, and who goes when there are too many.

The replacement is CLOCK (Corbató 1968): a use sets a mark and moves nothing, so a hit costs no
more than a look-up. The hand passes everything in the order it came; what was used since the hand
last passed stays and loses its mark, with versions that were overwritten; the first that was not
used goes. The hand passes so many at most before it takes one all the same, so that nobody waits
for a long search.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

CHANCES_MAX = 64
"""How many that were used the hand passes for each that goes."""

GONE_MAX = 1_024
"""How many that went otherwise may lie on the clock before it is swept, at least."""


@dataclass(slots=True)
class PoolCounts:
    """Since the process started."""

    hits: int = 0
    """Reads answered from memory alone."""
    misses: int = 0
    """Reads for which the store was asked, for some of it at least."""
    evictions: int = 0
    """Keys and intervals that went for want of room."""
    unfit: int = 0
    """What the store was asked for and was not kept: it was being written, or too large."""


class Owner:
    """Whoever has things in the pool, and may let all of them go at once."""

    __slots__ = ("gone", "held", "size")

    def __init__(self) -> None:
        self.size = 0
        """Bytes of all its things."""
        self.held = 0
        """How many there are."""
        self.gone = False


class Held(ABC):
    """Something in the pool. `size` is what it holds of the pool, in bytes."""

    __slots__ = ("gone", "owner", "size", "used")

    def __init__(self, owner: Owner, size: int) -> None:
        self.owner = owner
        self.size = size
        self.used = False
        """Whether it was of use since the hand of the clock last passed."""
        self.gone = False

    @abstractmethod
    def shrink(self) -> int:
        """Give up what can best be spared; how many bytes that was."""

    @abstractmethod
    def leave(self) -> None:
        """Have whoever holds it forget it. Called once, by the pool or before `Pool.left`."""


class Pool:
    """See the module's page."""

    __slots__ = ("_clock", "_gone", "bytes_max", "counts", "size")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.size = 0
        """Bytes held, overheads estimated."""
        self.counts = PoolCounts()
        self._clock: deque[Held] = deque()
        self._gone = 0
        """How many on the clock went otherwise."""

    def __len__(self) -> int:
        """How many things are held."""
        return len(self._clock) - self._gone

    @property
    def size_max(self) -> int:
        """How large one thing may be: an eighth of all, so that none drives all others out."""
        return self.bytes_max // 8

    def take(self, held: Held) -> None:
        """Hold something, and let others go for it."""
        self._clock.append(held)
        self.size += held.size
        held.owner.size += held.size
        held.owner.held += 1
        self.fit()

    def resize(self, held: Held, by: int) -> None:
        """Something that is held grew by so many bytes. `fit` is the caller's affair."""
        held.size += by
        held.owner.size += by
        self.size += by

    def left(self, held: Held) -> None:
        """Something went otherwise."""
        self._let_go(held)
        self._gone += 1
        self._sweep()

    def left_all(self, owner: Owner) -> None:
        """All that an owner has went: not one by one, so that nobody waits for that."""
        owner.gone = True
        self.size -= owner.size
        self._gone += owner.held
        owner.size = owner.held = 0
        self._sweep()

    def _let_go(self, held: Held) -> None:
        held.gone = True
        held.owner.size -= held.size
        held.owner.held -= 1
        self.size -= held.size

    def _sweep(self) -> None:
        if self._gone > GONE_MAX and 2 * self._gone > len(self._clock):
            self._clock = deque(one for one in self._clock if not (one.gone or one.owner.gone))
            self._gone = 0

    def fit(self) -> None:
        """Let the least useful go until the rest fits."""
        clock = self._clock
        chances = CHANCES_MAX
        while self.size > self.bytes_max and clock:
            held = clock.popleft()
            if held.gone or held.owner.gone:
                self._gone -= 1
            elif held.used and chances:
                chances -= 1
                held.used = False
                self.resize(held, -held.shrink())
                clock.append(held)
            else:
                chances = CHANCES_MAX
                held.leave()
                self._let_go(held)
                self.counts.evictions += 1
