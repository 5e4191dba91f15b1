"""What a workload of the simulated cluster is, and where its keys lie.

A workload is a set of habits: `act` does one thing that one client may do, any number of clients
act at once, and several workloads share one database. Everything they read and write goes through
a `RecordedDatabase`, and `judge` looks at the ledger alone. Rates and sizes are drawn from
the seed, so that every run has habits of its own.

::

    10 <kind> ...   20 <kind> ...   ..  70 <kind> ...     places: every kind has keys in each
    80 <kind> ...                                         regions: all keys of a kind together
"""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import ClassVar

from fastness.testing.ledger import Attempt, Ledger
from fastness.testing.recording import RecordedDatabase
from fastness.testing.report import Report

PLACES = tuple(bytes([0x10 * number]) for number in range(1, 8))
"""First bytes of keys that lie in ranges of their own, to begin with."""

REGION = b"\x80"
"""First byte of what must be contiguous."""


class SimulatedWorkload(ABC):
    """One kind of client behaviour; see the module's page."""

    kind: ClassVar[str]
    """Its name, and the kind of its attempts."""

    def __init__(self, random: Random) -> None:
        """Draw this run's habits."""
        self.random = random
        self.places = tuple(random.sample(PLACES, random.randint(2, len(PLACES))))
        self.values = itertools.count(1)
        self.local = random.choice((0.3, 0.5, 0.5, 0.8))
        """How many of its transactions keep to one place."""
        self.pause_s = 0.0
        """The longest time a client takes in the middle of a transaction."""

    @property
    def region(self) -> bytes:
        """The prefix of its contiguous keys."""
        return REGION + self.kind.encode() + b"/"

    def key(self, place: bytes, number: int) -> bytes:
        """A key of this workload in a place."""
        return b"%b%b/%05d" % (place, self.kind.encode(), number)

    def value(self) -> bytes:
        """A value that was never used before."""
        return b"%d" % next(self.values)

    async def pause(self, random: Random) -> None:
        """Let a client take its time."""
        await asyncio.sleep(random.uniform(0, self.pause_s))

    def some_keys(self, random: Random, count: int, numbers: int) -> list[bytes]:
        """Different keys, hot ones more often; all in one place as often as is `local`."""
        places: Sequence[bytes] = self.places
        if random.random() < self.local:
            places = (random.choice(places),)
        keys: dict[bytes, None] = {}
        for _ in range(count):
            number = int(random.random() ** 2 * numbers)
            keys[self.key(random.choice(places), number)] = None
        return list(keys)

    observes: ClassVar[bool] = False
    """Whether it has something to look at for clients that only look."""

    async def observe(self, database: RecordedDatabase, random: Random) -> None:
        """Look at something, and change nothing; what is looked at must be the latest."""
        await self.act(database, random)

    async def prepare(self, database: RecordedDatabase) -> None:  # noqa: B027 - most need nothing
        """Write what must be there before anybody acts; once, before any fault."""

    @abstractmethod
    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Do one thing. Errors of the taxonomy are expected and end it."""

    async def conclude(self, database: RecordedDatabase) -> None:  # noqa: B027 - most need nothing
        """Look at what is left, after everybody has acted and faults have stopped."""

    @abstractmethod
    def judge(self, ledger: Ledger) -> list[Report]:
        """The verdicts of the checkers made for this workload."""

    def attempts(self, ledger: Ledger) -> list[Attempt]:
        """Its attempts."""
        return ledger.of_kind(self.kind)
