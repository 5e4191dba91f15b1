"""A whole world from one seed: processes, network, coordinator and stores in virtual time.

::

    with World(seed=7) as world:
        node = world.start("node-1", start_node)      # start_node(process) may be called again,
        client = world.process("client")              # after a crash, with another process
        world.run(scenario(client))
        print(world.digest(), world.now_ms, world.counts)

The same seed and the same code give the same run, byte for byte, in any interpreter of one
version: compare `digest()`. Every part draws from a stream of its own (`stream`), so that adding
a fault of one kind does not change what another draws.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from fastness.invariants import check
from fastness.testing.simulation.clocks import DRIFT_PPM_MAX, SimulatedClock
from fastness.testing.simulation.coordinator import CoordinatorServer, SimulatedCoordinator
from fastness.testing.simulation.events import NANOSECONDS_PER_MILLISECOND, Agenda
from fastness.testing.simulation.loop import SimulatedLoop
from fastness.testing.simulation.network import Network
from fastness.testing.simulation.processes import SimulatedProcess
from fastness.testing.simulation.store_clients import SimulatedStoreClient
from fastness.testing.simulation.stores import SimulatedStore
from fastness.testing.simulation.trace import Trace

T = TypeVar("T")
Factory = Callable[[SimulatedProcess], object]
"""Starts what runs in a process. Called as that process, and again for each later one."""

LIMIT_MS: Final = 3_600_000.0
LIMIT_STEPS: Final = 20_000_000


class World:
    """One simulated world; see the module's page. Close it, or use it in a `with`."""

    def __init__(
        self,
        seed: int | str,
        *,
        drift_ppm: int = DRIFT_PPM_MAX,
        wall_off_ms: int = 10_000,
        limit_ms: float = LIMIT_MS,
        limit_steps: int = LIMIT_STEPS,
        write_line: Callable[[str], None] | None = None,
    ) -> None:
        """A world where nothing goes wrong yet.

        Args:
            seed: everything that is drawn comes from it.
            drift_ppm: how far from the true rate clocks of processes run, at most.
            wall_off_ms: how far from the true time their wall clocks are, at most.
            limit_ms: of virtual time; beyond it `run` raises `OutOfTime`.
            limit_steps: of events, likewise.
            write_line: gets the lines of the trace (`print`, `list.append`).
        """
        self.seed = seed
        self.counts: Counter[str] = Counter()
        """How often each kind of fault struck."""
        self._drift_ppm = drift_ppm
        self._wall_off_ms = wall_off_ms
        self._trace = Trace(write_line)
        self.agenda = Agenda(self._trace)
        self.agenda.limit_ns = int(limit_ms * NANOSECONDS_PER_MILLISECOND)
        self.agenda.limit_steps = limit_steps
        self.loop = SimulatedLoop(self.agenda)
        self.network = Network(random=self.stream("network"), trace=self._trace, counts=self.counts)
        self.coordinator = CoordinatorServer(self.agenda, self.network)
        self._stores: dict[str, SimulatedStore] = {}
        self._processes: dict[str, SimulatedProcess] = {}
        self._lives: Counter[str] = Counter()
        self._factories: dict[str, Factory] = {}

    def stream(self, name: str) -> Random:
        """A source of randomness of this seed for one purpose; the same each time it is asked."""
        return Random(f"{self.seed}/{name}")

    # Time and running.

    @property
    def now_ms(self) -> float:
        """Virtual milliseconds since the world began."""
        return self.agenda.now / NANOSECONDS_PER_MILLISECOND

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Let the world go on until this coroutine ends; its result, or its error.

        It runs as the world itself: never paused, never crashed. May be called again; in between
        time stands still.
        """
        result: T = self.loop.run_until_complete(main)
        return result

    def call_later(
        self, milliseconds: float, callback: Callable[..., object], *args: object
    ) -> None:
        """Have something happen after so much virtual time, whatever becomes of any process."""
        self.agenda.root.after(int(milliseconds * NANOSECONDS_PER_MILLISECOND), callback, *args)

    async def sleep(self, milliseconds: float) -> None:
        """Let so much virtual time pass."""
        passed = self.loop.create_future()
        self.call_later(milliseconds, _wake, passed)
        await passed

    # Processes.

    def process(self, name: str) -> SimulatedProcess:
        """The process that runs under a name; a new one if none does."""
        process = self._processes.get(name)
        if process is None or not process.alive:
            process = self._processes[name] = self._new_process(name)
        return process

    def start(self, name: str, factory: Factory) -> SimulatedProcess:
        """Start a process whose code `factory(process)` starts; again by `restart`."""
        running = self._processes.get(name)
        check(running is None or not running.alive, f"{name} is running already")
        self._factories[name] = factory
        return self.restart(name)

    def restart(self, name: str) -> SimulatedProcess:
        """Start the code of a name in a new process with a new address; crash what still runs."""
        if name in self._processes:
            self._processes[name].crash()
        process = self.process(name)
        self.trace(process.address, "started")
        process.enter(self._factories[name], process)
        return process

    def crash(self, name: str) -> None:
        """Kill what runs under a name, if it runs."""
        if name in self._processes:
            self._processes[name].crash()

    def running(self) -> list[SimulatedProcess]:
        """The processes alive, in the order their names first appeared."""
        return [process for process in self._processes.values() if process.alive]

    def restartable(self) -> list[str]:
        """Names that have been started with a factory: the ones that may be crashed."""
        return list(self._factories)

    def _new_process(self, name: str) -> SimulatedProcess:
        self._lives[name] += 1
        life = self._lives[name]
        address = name if life == 1 else f"{name}#{life}"
        process = SimulatedProcess(
            loop=self.loop,
            network=self.network,
            name=name,
            address=address,
            random=self.stream(f"process {address}"),
        )
        # A restarted process finds the clocks of its machine, not others.
        random = self.stream(f"clock {name}")
        process.set_clock(
            SimulatedClock.drawn(
                process, random, drift_ppm=self._drift_ppm, wall_ms=self._wall_off_ms
            )
        )
        return process

    # Services.

    def coordinator_for(
        self, process: SimulatedProcess, *, patience_ms: float = 1_000
    ) -> SimulatedCoordinator:
        """The coordinator as this process reaches it."""
        return SimulatedCoordinator(
            self.coordinator, process, self.network, patience_ms=patience_ms
        )

    def store(self, name: str) -> SimulatedStore:
        """The store of a name, made when it is first asked for."""
        store = self._stores.get(name)
        if store is None:
            random = self.stream(f"store {name}")
            store = self._stores[name] = SimulatedStore(self.agenda, self.network, name, random)
        return store

    def stores(self) -> list[SimulatedStore]:
        """Every store, in the order they were first asked for."""
        return list(self._stores.values())

    def store_for(
        self, process: SimulatedProcess, name: str, *, patience_ms: float = 1_000
    ) -> SimulatedStoreClient:
        """A store as this process reaches it: a `hosting.remote.RemoteStore`."""
        return SimulatedStoreClient(
            self.store(name), process, self.network, patience_ms=patience_ms
        )

    # What happened.

    def trace(self, process: str, event: str) -> None:
        """Add to the story of the run."""
        self._trace.note(self.agenda.now, process, event)

    def digest(self) -> str:
        """All that happened, in 32 hexadecimal digits: equal for equal runs, and only then."""
        return self._trace.digest()

    def close(self) -> None:
        """End everything that still runs in it."""
        self.loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _wake(passed: asyncio.Future[None]) -> None:
    if not passed.done():
        passed.set_result(None)
