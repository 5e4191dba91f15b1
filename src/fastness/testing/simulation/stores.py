"""Simulated stores: a replicated durable home, as a PostgreSQL cluster is one, from far away.

::

    SimulatedStoreClient --request--> SimulatedStore  (the primary)
           |                               | fail_over: another primary, without what
           |                               v            was not yet on the standby
           `--reads, for a while--> DemotedPrimary, frozen where it was

Requests take effect at one instant, when they arrive. Both ways may be late, lost or cut: the
caller then hears `Unreachable` when its patience ends, and its request was carried out, or was
not, or will be, later. Writes always reach the real primary, which fences them.

**What a failover shows.** A batch may be visible on the primary before it is durable on the
standby (`undurable`), and is then lost with the primary, or not: the caller was not answered.
The old primary may go on answering reads of clients that have not noticed (`stale_ms`), with
everything it had applied. Their answers name an old batch number, or come over a connection that
the client has dropped: see `store_clients`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import DiskFull, Fenced
from fastness.hosting.carrying import portion_in
from fastness.hosting.remote import StoreAnswer, StoreDrop, StorePrune, StoreRead, StoreSelection
from fastness.storage.contract import Batch, Load
from fastness.testing.simulation.events import (
    NANOSECONDS_PER_MILLISECOND,
    Actor,
    Agenda,
)
from fastness.testing.simulation.homes import Home
from fastness.testing.simulation.network import Network

SERVICE_TIMES: Final = 128

Answer = Callable[[object], None]
"""Sends the answer to a request off."""


@dataclass(frozen=True, slots=True)
class StoreRates:
    """How often a store misbehaves; each between 0 and 1, times in milliseconds."""

    undurable: float = 0.0
    """A batch is visible for up to `undurable_ms_max` before it is durable and answered."""
    undurable_ms_max: float = 20.0
    refused: float = 0.0
    """A batch fails with `DiskFull`; nothing of it was done."""
    slow: float = 0.0
    """A request takes up to `slow_ms_max`."""
    slow_ms_max: float = 200.0


class SimulatedStore(Actor):
    """A store of a world: its primary, and what may happen to it. To stall it, pause it."""

    __slots__ = (
        "_demoted",
        "_kept_to",
        "_network",
        "_pruned",
        "_random",
        "_service",
        "home",
        "rates",
    )

    def __init__(self, agenda: Agenda, network: Network, name: str, random: Random) -> None:
        """Made by `World.store`."""
        super().__init__(agenda, name)
        self._network = network
        self._random = random
        self._service = [int(random.uniform(0.1, 1.2) * 1e6) for _ in range(SERVICE_TIMES)]
        self.home = Home(identity=f"{random.getrandbits(128):032x}")
        """What the primary has. For tests to look at; clients go through `World.store_for`."""
        self.rates = StoreRates()
        self._demoted: DemotedPrimary | None = None
        self._pruned: dict[Timestamp, dict[bytes, bytes | None]] = {}
        self._kept_to: dict[KeyInterval, Timestamp] = {}

    def log(self) -> dict[Timestamp, dict[bytes, bytes | None]]:
        """What each commit changed, pruned or not: for checkers, which no retention binds."""
        log = {timestamp: dict(writes) for timestamp, writes in self._pruned.items()}
        for change in self.home.logged():
            log.setdefault(change.timestamp, {}).update(change.writes)
        return log

    def demoted_for(self, process: Actor) -> DemotedPrimary | None:
        """The old primary, while it still answers reads of this process."""
        demoted = self._demoted
        return demoted if demoted is not None and demoted.serves(process.name) else None

    def fail_over(
        self,
        *,
        kept: int | None = None,
        outage_ms: float = 0.0,
        stale_ms: float = 0.0,
        stale_for: frozenset[str] = frozenset(),
    ) -> int:
        """Lose the primary; the standby takes over. Returns how many batches were lost.

        Args:
            kept: how many of the batches that were not yet durable the standby has after all
                (`None`: as many as chance has it).
            outage_ms: how long nobody answers writes.
            stale_ms: how long the old primary goes on answering reads.
            stale_for: names of the processes it answers.
        """
        undurable = self.home.unsynced_writes
        kept = self._random.randint(0, undurable) if kept is None else min(kept, undurable)
        old = self.home
        old.lose_power()
        self.home = old.copy(kept)
        self._network.counts["store failover"] += 1
        if kept < undurable:
            self._network.counts["undurable batch lost"] += undurable - kept
        self.agenda.trace.note(
            self.agenda.now, self.name, f"failed over, {undurable - kept} of {undurable} lost"
        )
        if self._demoted is not None:
            self._demoted.end()
            self._demoted = None
        if stale_ms > 0 and stale_for:
            self._demoted = DemotedPrimary(self, old.copy(), stale_for, stale_ms)
        if outage_ms > 0:
            self.pause(outage_ms)
        return undurable - kept

    def heal(self) -> None:
        """Behave from now on."""
        self.rates = StoreRates()
        if self._demoted is not None:
            self._demoted.end()
            self._demoted = None
        self.resume()

    # Requests, carried out at the instant they arrive. `answer(result)` sends the answer.

    def open_range(self, answer: Answer, range_id: int, epoch: int) -> None:
        """See `RemoteStore.open_range`."""
        answer(self.home.open_range(range_id, epoch))

    def apply(self, answer: Answer, batch: Batch) -> None:
        """See `RemoteStore.apply`."""
        home = self.home
        self._refuse_late(batch)
        draw = self._random.random()
        if draw < self.rates.refused:
            self._network.counts["store refused a batch"] += 1
            raise DiskFull(f"no space for a batch in {self.name}: free some")
        home.apply(batch)
        if draw < self.rates.refused + self.rates.undurable:
            self._network.counts["undurable batch visible"] += 1
            window = self._random.random() * self.rates.undurable_ms_max
            self.after(int(window * NANOSECONDS_PER_MILLISECOND), self._harden, answer, home)
        else:
            home.sync()
            answer(None)

    def _refuse_late(self, batch: Batch | Load) -> None:
        """Refuse a late original: whoever sent it gave it up and used its number for another."""
        home, range_id = self.home, batch.range_id
        if batch.epoch == home.range_epoch(range_id) and batch.number <= home.range_number(
            range_id
        ):
            self._network.counts["late batch refused"] += 1
            raise Fenced(f"batch {batch.number} of range {range_id} was given up")

    def settle(self, answer: Answer, range_id: int, epoch: int, number: int) -> None:
        """See `RemoteStore.settle`."""
        if number < self.home.given_up(range_id):
            # A late question that was asked again, and answered, long ago.
            raise Fenced(f"batch {number} of range {range_id} was settled before")
        answer(self.home.settle(range_id, epoch, number))

    def read(self, answer: Answer, request: StoreRead) -> None:
        """See `RemoteStore.read`."""
        answer(read_home(self.home, request))

    def prune(self, answer: Answer, request: StorePrune) -> None:
        """See `RemoteStore.prune`."""
        where, range_id = KeyInterval(*request.interval), request.range_id
        # A late step of before a merge prunes up to the horizon that the union has.
        horizon = max(request.horizon, self.home.prune_horizon(range_id))
        if horizon > self._kept_to.get(where, 0):
            # What lies in it at or below its horizon is final: taking it once is enough.
            self._kept_to[where] = horizon
            self._keep_log(where, horizon)
        home = self.home
        expired = home.expired_pruned
        done = home.prune(range_id, where, horizon, request.limit, epoch=request.epoch)
        self._network.counts["expired value removed"] += home.expired_pruned - expired
        answer(done)

    def versions(self, answer: Answer, request: StoreSelection) -> None:
        """See `RemoteStore.versions`."""
        answer(portion_in(self.home, request))

    def load(self, answer: Answer, load: Load) -> None:
        """See `RemoteStore.load`."""
        self._refuse_late(load)
        self.home.load(load)
        self.home.sync()
        answer(None)

    def drop(self, answer: Answer, request: StoreDrop) -> None:
        """See `RemoteStore.drop`."""
        where, range_id = KeyInterval(*request.interval), request.range_id
        if request.epoch == self.home.range_epoch(range_id):
            # What was carried elsewhere leaves behind what nobody may read: judges may.
            self._keep_log(where, TIMESTAMP_MAX)
        answer(self.home.drop(range_id, request.epoch, where, request.limit))

    def _keep_log(self, where: KeyInterval, up_to: Timestamp) -> None:
        """Remember what the log has of an interval, before it goes."""
        for change in self.home.logged(up_to):
            writes = {key: value for key, value in change.writes if where.contains(key)}
            if writes:
                self._pruned.setdefault(change.timestamp, {}).update(writes)

    def changes(self, answer: Answer, after: Timestamp, up_to: Timestamp, limit: int) -> None:
        """See `RemoteStore.changes`."""
        answer(self.home.changes(after, up_to, limit))

    def service_ns(self) -> int:
        """How long it works on a request, in nanoseconds."""
        draw = self._random.random()
        if draw < self.rates.slow:
            self._network.counts["store was slow"] += 1
            return int(self._random.random() * self.rates.slow_ms_max * NANOSECONDS_PER_MILLISECOND)
        return self._service[int(draw * SERVICE_TIMES)]

    def _harden(self, answer: Answer, home: Home) -> None:
        """The standby has what was applied so far, unless the primary was lost meanwhile."""
        if home is self.home:
            home.sync()
            answer(None)


class DemotedPrimary(Actor):
    """A primary that was replaced and has not noticed: frozen, and reads only."""

    __slots__ = ("_home", "_stale_for", "_store")

    def __init__(
        self, store: SimulatedStore, home: Home, stale_for: frozenset[str], stale_ms: float
    ) -> None:
        super().__init__(store.agenda, f"{store.name}-old")
        self._store = store
        self._home = home
        self._stale_for = stale_for
        store.agenda.root.after(int(stale_ms * NANOSECONDS_PER_MILLISECOND), self.end)

    def serves(self, name: str) -> bool:
        """Whether processes of this name still read here."""
        return self.alive and name in self._stale_for

    def read(self, answer: Answer, request: StoreRead) -> None:
        """See `RemoteStore.read`."""
        answer(read_home(self._home, request))

    def versions(self, answer: Answer, request: StoreSelection) -> None:
        """See `RemoteStore.versions`."""
        answer(portion_in(self._home, request))

    def changes(self, answer: Answer, after: Timestamp, up_to: Timestamp, limit: int) -> None:
        """See `RemoteStore.changes`."""
        answer(self._home.changes(after, up_to, limit))

    def service_ns(self) -> int:
        """How long it works on a request, in nanoseconds."""
        return self._store.service_ns()


def read_home(home: Home, request: StoreRead) -> StoreAnswer:
    """Answer a read from what a primary has."""
    scan = request.scan
    entries = []
    if scan is not None:
        entries = home.scan(
            KeyInterval(scan.begin, scan.end),
            at=request.at,
            limit=scan.limit,
            reverse=scan.reverse,
        )
    return StoreAnswer(
        cells=home.get_many(request.keys, request.at),
        entries=entries,
        number=home.range_number(request.range_id),
        prune_horizon=home.prune_horizon(request.range_id),
    )
