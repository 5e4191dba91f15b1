"""Runs chaos from beginning to end: a cluster, a crowd, blows, and the judgement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import fastness
from fastness import AsyncDatabase
from fastness.errors import DeadlineExceeded, FastnessError, Unreachable
from fastness.laptop.cluster import LaptopCluster
from fastness.laptop.plan import Size
from fastness.model.layout import RECORDS
from fastness.operations.control import controlling
from fastness.testing.chaos.arena import Arena, Sight, look
from fastness.testing.chaos.crowd import Crowd
from fastness.testing.chaos.faults import FAULTS, Blow, Fault
from fastness.testing.chaos.judging import judge
from fastness.testing.chaos.operators import Operator
from fastness.testing.chaos.plants import PLANTS, is_up
from fastness.testing.chaos.probes import Pause, Probe
from fastness.testing.chaos.report import Results, Struck
from fastness.testing.chaos.schedule import Turn, turns
from fastness.testing.chaos.site import Site
from fastness.testing.chaos.stores import merged_log
from fastness.testing.history import Outcome
from fastness.testing.ledger import Ledger
from fastness.testing.simulation.workloads import PLACES, REGION

BORDERS = (*PLACES[1:], REGION, RECORDS, RECORDS + fastness.pack((1, 2)))
"""Where the first ranges begin, in one store and the other in turn; also amid typed records."""
CALM_S = 5.0
"""Before the first blow."""
REST_S = 3.0
"""Between being whole and the next blow."""
PATIENCE_S = 120.0
SETTLE_S = 6.0
"""For what commits left to resolve behind their answers, before the stores are read."""
LOOK_S = 0.1
LOOK_S_MAX = 3.0
"""How long a look at the map may take, which etcd may not answer."""
ALARM = b"ALARM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is told."""

    seed: int
    seconds: float
    kinds: Sequence[str]
    size: Size
    blows: int = 0
    """Turns at most; 0: as many as the time allows."""
    patience_s: float = PATIENCE_S
    """How long it may take to be whole, and every range to serve, after faults were healed; and
    how long a look at everything that is left."""
    plant: str = ""
    """A weakness planted in the cluster."""
    clients: int = 4
    tasks: int = 3
    pace_s: float = 0.25


class _Borne(NamedTuple):
    """A blow that fell, and the map before and after it."""

    struck: Struck
    blow: Blow
    begun: float
    sights: tuple[Sight, Sight]


class Chaos:
    """One run on a cluster that is up."""

    def __init__(self, arena: Arena, settings: Settings, saying: Callable[[str], object]) -> None:
        self.results = Results(seed=settings.seed)
        self._cluster = cluster = arena.cluster
        self._settings = settings
        self._say = saying
        self._ledger = Ledger()
        self._crowd = Crowd(
            cluster.url,
            self._ledger,
            seed=settings.seed,
            clients=settings.clients,
            tasks=settings.tasks,
            pace_s=settings.pace_s,
        )
        self._arena = arena
        self._operator = Operator(cluster.coordinator, Random(f"{settings.seed}/operator"))
        self._began = time.monotonic()

    async def run(self) -> Results:
        """Let clients act and faults strike, then judge."""
        async with await fastness.open_async(self._cluster.url) as database:
            await self._crowd.set_up(database)
            probes = [
                Probe(place + b"probe", lambda: self._crowd.recorded(database)) for place in PLACES
            ]
            self._began = time.monotonic()
            async with self._acting(probes):
                await self._noting(self._strike_all(probes))
            self.results.ran_s = time.monotonic() - self._began
            await self._noting(self._conclude(database))
        await asyncio.sleep(SETTLE_S)
        await self._judge()
        return self.results

    async def _conclude(self, database: AsyncDatabase) -> None:
        try:
            async with asyncio.timeout(self._settings.patience_s):
                await self._crowd.conclude(database)
        except TimeoutError:
            raise DeadlineExceeded(
                f"what is left could not all be read within {self._settings.patience_s:.0f} s"
            ) from None

    async def _noting(self, work: Coroutine[Any, Any, None]) -> None:
        """What does not come back is a finding like any other: what was recorded is judged."""
        try:
            await work
        except FastnessError as error:
            self.results.problems.append(f"{type(error).__name__}: {error}")

    @asynccontextmanager
    async def _acting(self, probes: Sequence[Probe]) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._crowd.act())
            tasks.create_task(self._operator.run())
            for probe in probes:
                tasks.create_task(probe.run())
            try:
                yield
            finally:
                self._crowd.stop()
                self._operator.stop()
                for probe in probes:
                    probe.stop()

    # ---------------------------------------------------------------------- blows

    async def _strike_all(self, probes: Sequence[Probe]) -> None:
        settings = self._settings
        end = self._began + settings.seconds
        pairs = [name for name in settings.kinds if FAULTS[name].pairs]
        drawn: Iterator[Turn] = turns(settings.seed, settings.kinds, pairs=pairs)
        if settings.blows:
            drawn = islice(drawn, settings.blows)
        await asyncio.sleep(CALM_S)
        for turn in drawn:
            await self._turn(turn, probes)
            if time.monotonic() > end:
                return

    async def _turn(self, turn: Turn, probes: Sequence[Probe]) -> None:
        """Strike, heal, and wait until all is whole again; then measure."""
        begun = time.monotonic()
        if turn.reshaped:
            self._operator.busy.set()
        else:
            self._operator.busy.clear()
        struck = await asyncio.gather(
            *(
                self._blow(FAULTS[kind], place * turn.apart_s, turn)
                for place, kind in enumerate(turn.kinds)
            )
        )
        await self._await_whole(probes)
        await asyncio.sleep(REST_S)
        for one in struck:
            self._measure(one, probes, time.monotonic() - begun - REST_S)

    async def _blow(self, fault: Fault, after_s: float, turn: Turn) -> _Borne:
        await asyncio.sleep(after_s)
        before = self._arena.sight = await self._look()
        begun = time.monotonic()
        self._say(f"{begun - self._began:6.0f} s  {fault.name}")
        blow = await self._struck(fault)
        self._say(f"          {blow.member}")
        struck = Struck(
            kind=fault.name,
            member=blow.member,
            at_s=begun - self._began,
            with_another=len(turn.kinds) > 1,
            reshaped=turn.reshaped,
        )
        try:
            if blow.deposed:
                struck.promoted_s = await self._promoted(blow, begun)
            await asyncio.sleep(blow.lasts_s)
        finally:
            await asyncio.to_thread(blow.heal)
        # Ranges may have moved on meanwhile, to where the fault then met them.
        return _Borne(struck, blow, begun, (before, await self._look()))

    async def _look(self) -> Sight:
        """The map, as it was at the last look where nobody answers."""
        with suppress(FastnessError, TimeoutError):
            async with (
                asyncio.timeout(LOOK_S_MAX),
                controlling(self._cluster.coordinator) as control,
            ):
                return await look(control)
        return self._arena.sight

    async def _struck(self, fault: Fault) -> Blow:
        """Strike once there is somebody to hit: after another fault a leader may be missing."""
        give_up = time.monotonic() + self._settings.patience_s
        while True:
            try:
                return await asyncio.to_thread(fault.strike, self._arena)
            except Unreachable:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(LOOK_S)

    async def _promoted(self, blow: Blow, begun: float) -> float:
        """How long it took until another primary was up.

        Patroni may start the one that died before anybody else is sure that it did.
        """
        store = self._cluster.stores[blow.deposed.rpartition("-")[0]]
        give_up = begun + self._settings.patience_s
        while time.monotonic() < give_up:
            primary = await asyncio.to_thread(store.primary)
            if primary is not None and (
                primary.place.name != blow.deposed
                or primary.postgres_pid() not in {0, blow.postmaster}
            ):
                return time.monotonic() - begun
            await asyncio.sleep(LOOK_S)
        raise DeadlineExceeded(
            f"nobody took the place of {blow.deposed} in {self._settings.patience_s:.0f} s"
        )

    async def _await_whole(self, probes: Sequence[Probe]) -> None:
        """Every member is there, every standby follows, every range takes writes and reads."""
        begun, patience_s = time.monotonic(), self._settings.patience_s
        while time.monotonic() < begun + patience_s:
            await asyncio.to_thread(self._cluster.tend)
            if await asyncio.to_thread(self._is_whole):
                break
            await asyncio.sleep(LOOK_S)
        else:
            raise DeadlineExceeded(f"the cluster was not whole {patience_s:.0f} s after its faults")
        whole = time.monotonic()
        while not all(probe.serves_since(whole) for probe in probes):
            if time.monotonic() > whole + patience_s:
                stuck = [probe.key.hex() for probe in probes if not probe.serves_since(whole)]
                raise DeadlineExceeded(
                    f"{', '.join(stuck)} served nobody {patience_s:.0f} s after all was whole"
                )
            await asyncio.sleep(LOOK_S)

    def _is_whole(self) -> bool:
        cluster = self._cluster
        return is_up(cluster) if self._settings.plant else cluster.is_whole()

    def _measure(self, borne: _Borne, probes: Sequence[Probe], whole_s: float) -> None:
        struck, begun, end = borne.struck, borne.begun, time.monotonic()
        keys = [probe.key for probe in probes]
        touched = {key for sight in borne.sights for key in borne.blow.touch.keys_of(sight, keys)}
        pauses = {
            probe.key: (
                Pause.of(probe.writes, begun, end),
                Pause.of(probe.reads, begun, end),
            )
            for probe in probes
        }
        struck.measure(
            [pause for key, pause in pauses.items() if key in touched],
            [pause for key, pause in pauses.items() if key not in touched],
        )
        struck.whole_s = whole_s
        self.results.struck.append(struck)

    # ------------------------------------------------------------------ judgement

    async def _judge(self) -> None:
        results, ledger, crowd = self.results, self._ledger, self._crowd
        unknown = sum(one.outcome is Outcome.UNKNOWN for one in ledger)
        log = None
        try:
            log = await asyncio.to_thread(merged_log, self._cluster.stores.values())
        except Unreachable as error:
            results.problems.append(f"what is in a store could not be judged: {error}")
        results.reports, unsettled = await asyncio.to_thread(judge, ledger, crowd.workloads, log)
        results.figures = {
            "attempts": len(ledger),
            "committed": ledger.committed,
            "of them writes": ledger.committed_writes,
            "failed": sum(one.outcome is Outcome.FAILED for one in ledger),
            "unknown to their clients": unknown,
            "never settled": unsettled,
            "commits in the stores": len(log or ()),
            "cache entries audited": crowd.audited,
            "blows": len(results.struck),
            **{f"{kind} done": times for kind, times in sorted(self._operator.done.items())},
        }
        if crowd.stale:
            results.problems.append(f"{crowd.stale} stale entries were found in near caches")
        results.problems += self._alarms()

    def _alarms(self) -> list[str]:
        """What nodes called impossible."""
        found = []
        for node in self._cluster.nodes:
            with node.daemon.log.open("rb") as log:
                found += [
                    f"{node.place.name}: {line.decode('utf-8', 'replace').strip()}"
                    for line in log
                    if ALARM in line
                ]
        return found


def run(folder: Path, settings: Settings, saying: Callable[[str], object]) -> Results:
    """Bring a cluster up in a folder, run, and take it down; nothing of it is left running."""
    begun = time.monotonic()
    with ExitStack() as stack:
        site = Site.prepared(folder, settings.kinds, settings.size, stack)
        cluster = stack.enter_context(
            LaptopCluster.up(
                folder,
                host_of=site.host_of,
                prefix_of=site.prefix_of,
                borders=BORDERS,
                saying=saying,
            )
        )
        if settings.plant:
            PLANTS[settings.plant](cluster)
        up_s = time.monotonic() - begun
        arena = Arena(
            cluster,
            Random(f"{settings.seed}/arena"),
            network=site.network,
            clocks=site.clocks,
            disks=site.disks,
        )
        chaos = Chaos(arena, replace(settings, kinds=site.kinds), saying)
        chaos.results.skipped = site.skipped
        chaos.results.up_s = up_s
        return asyncio.run(chaos.run())
