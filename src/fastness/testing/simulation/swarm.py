"""The fault injector of a world: plays a `FaultPlan` until it is told to be quiet.

Kinds that strike frames and calls are rates of the network and of stores. The others strike at
random moments, each kind by a clock of its own; how often, and for how long, is told in leases of
the system under test, because that is the time its protocols count in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from fastness.testing.simulation.coordinator import COORDINATOR
from fastness.testing.simulation.faults import FaultPlan
from fastness.testing.simulation.network import Rates
from fastness.testing.simulation.processes import SimulatedProcess
from fastness.testing.simulation.stores import StoreRates
from fastness.testing.simulation.world import World

STEPS_MAX: Final = 400
"""A strike in a step comes at most so many events and interactions later."""
LONG_PAUSES: Final = 0.25
"""How many pauses outlast a lease; the others take a few milliseconds."""
FAILOVER_TRIES: Final = 60
"""How many milliseconds a failover waits for a batch that is not durable yet."""


class Swarm:
    """Plays a plan in a world, from `begin` to `quiet`."""

    def __init__(self, world: World, plan: FaultPlan) -> None:
        """Nothing happens before `begin`. The world's clocks should drift by `plan.drift_ppm`."""
        self.world = world
        self.plan = plan
        self._active = False
        self._streams: dict[str, Random] = {}
        self._down: list[str] = []

    def begin(self, *, until_ms: float | None = None) -> None:
        """Let faults strike from now on, and none new after `until_ms` of virtual time."""
        self._active = True
        self._set_rates()
        gaps: list[tuple[str, float, Callable[[Random], None]]] = [
            ("crash", 2.0, self._crash),
            ("crash in a step", 2.0, self._crash_in_a_step),
            ("pause", 0.7, self._pause),
            ("pause in a step", 0.3, self._pause_in_a_step),
            ("slow", 4.0, self._slow),
            ("wall jump", 1.0, self._jump_wall),
            ("partition", 3.0, self._partition),
            ("coordinator stall", 5.0, self._stall_coordinator),
            ("coordinator restart", 4.0, self._restart_coordinator),
            ("coordinator cut", 2.0, self._cut_coordinator),
            ("store stall", 4.0, self._stall_store),
            ("store failover", 2.0, self._fail_over),
        ]
        for kind, leases, strike in gaps:
            if self.plan.intensity(kind) > 0.0:
                self._streams[kind] = self.world.stream(f"strike {kind}")
                self._schedule(kind, leases, strike)
        if until_ms is not None:
            self.world.call_later(max(0.0, until_ms - self.world.now_ms), self.stop)

    def stop(self) -> None:
        """No new faults; those under way take their course."""
        self._active = False
        self._clear_rates()

    def quiet(self) -> None:
        """Heal everything: nothing strikes any more, everybody runs and reaches everybody."""
        self.stop()
        world = self.world
        world.network.heal()
        world.coordinator.resume()
        for store in world.stores():
            store.heal()
        for process in world.running():
            process.strike_never()
            process.resume()
        down, self._down = self._down, []
        for name in down:
            world.restart(name)
        world.trace("world", "everything healed")

    # Rates.

    def _set_rates(self) -> None:
        plan, network = self.plan, self.world.network
        network.set_frame_rates(
            Rates(
                drop=0.1 * plan.intensity("drop"),
                duplicate=0.15 * plan.intensity("duplicate"),
                delay=0.05 * plan.intensity("delay"),
                corrupt=0.02 * plan.intensity("corrupt"),
                delay_ms_max=3.0 * plan.lease_ms,
            )
        )
        network.set_call_rates(COORDINATOR, self._call_rates("coordinator loss"))
        for store in self.world.stores():
            network.set_call_rates(store.name, self._call_rates("store loss"))
            store.rates = StoreRates(
                undurable=0.5 * plan.intensity("store undurable"),
                refused=0.03 * plan.intensity("store refusal"),
                slow=0.1 * plan.intensity("store slow"),
                slow_ms_max=0.5 * plan.lease_ms,
            )

    def _call_rates(self, kind: str) -> Rates:
        rate = 0.04 * self.plan.intensity(kind)
        return Rates(drop=rate, delay=rate, delay_ms_max=4.0 * self.plan.lease_ms)

    def _clear_rates(self) -> None:
        network = self.world.network
        network.set_frame_rates(Rates())
        network.set_call_rates(COORDINATOR, Rates())
        for store in self.world.stores():
            network.set_call_rates(store.name, Rates())
            store.rates = StoreRates()

    # Strikes.

    def _schedule(self, kind: str, leases: float, strike: Callable[[Random], None]) -> None:
        gap_ms = leases * self.plan.lease_ms / self.plan.intensity(kind)
        delay = self._streams[kind].expovariate(1.0 / gap_ms)
        self.world.call_later(delay, self._strike, kind, leases, strike)

    def _strike(self, kind: str, leases: float, strike: Callable[[Random], None]) -> None:
        if self._active:
            strike(self._streams[kind])
            self._schedule(kind, leases, strike)

    def _happened(self, kind: str, name: str, what: str) -> None:
        self.world.counts[kind] += 1
        self.world.trace(name, f"{kind}: {what}")

    def _leases(self, random: Random, shortest: float, longest: float) -> float:
        """A time in milliseconds, as likely short as long on a logarithmic scale."""
        leases: float = shortest * (longest / shortest) ** random.random()
        return self.plan.lease_ms * leases

    def _pause_ms(self, random: Random) -> float:
        if random.random() < LONG_PAUSES:
            return self._leases(random, 0.8, 2.5)
        return self._leases(random, 0.002, 0.2)

    def _victim(self, random: Random) -> SimulatedProcess | None:
        running = self.world.running()
        return random.choice(running) if running else None

    def _crash(self, random: Random) -> None:
        process = self._restartable_victim(random)
        if process is not None:
            self._kill(process, random.random(), "crash")

    def _crash_in_a_step(self, random: Random) -> None:
        process = self._restartable_victim(random)
        if process is not None:
            steps, luck = random.randrange(STEPS_MAX), random.random()
            process.strike_after(steps, lambda: self._kill(process, luck, "crash in a step"))

    def _restartable_victim(self, random: Random) -> SimulatedProcess | None:
        names = self.world.restartable()
        victims = [process for process in self.world.running() if process.name in names]
        return random.choice(victims) if victims else None

    def _kill(self, process: SimulatedProcess, luck: float, kind: str) -> None:
        """Crash it, for between a few milliseconds and three leases."""
        if not process.alive or not self._active:
            return
        self._happened(kind, process.address, "dead")
        process.crash()
        self._down.append(process.name)
        self.world.call_later(self.plan.lease_ms * 0.01 * 300**luck, self._bring_up, process.name)

    def _bring_up(self, name: str) -> None:
        if name in self._down:
            self._down.remove(name)
            self.world.restart(name)

    def _pause(self, random: Random) -> None:
        process = self._victim(random)
        milliseconds = self._pause_ms(random)
        if process is not None:
            self._happened("pause", process.address, f"{milliseconds:.1f} ms")
            process.pause(milliseconds)

    def _pause_in_a_step(self, random: Random) -> None:
        process = self._victim(random)
        steps, milliseconds = random.randrange(STEPS_MAX), self._pause_ms(random)
        if process is not None:
            process.strike_after(steps, lambda: self._stall(process, milliseconds))

    def _stall(self, process: SimulatedProcess, milliseconds: float) -> None:
        if self._active:
            self._happened("pause in a step", process.address, f"{milliseconds:.1f} ms")
            process.stall(milliseconds)

    def _slow(self, random: Random) -> None:
        process = self._victim(random)
        factor, milliseconds = random.uniform(5.0, 60.0), self._leases(random, 0.3, 4.0)
        if process is not None:
            self._happened("slow", process.address, f"{factor:.0f} times, {milliseconds:.1f} ms")
            self.world.network.slow_down(process.name, factor)
            self.world.call_later(milliseconds, self.world.network.slow_down, process.name, 1.0)

    def _jump_wall(self, random: Random) -> None:
        process = self._victim(random)
        milliseconds = random.choice((-1, 1)) * self._leases(random, 0.01, 100.0)
        if process is not None:
            self._happened("wall jump", process.address, f"{milliseconds:+.1f} ms")
            process.clock.jump_wall(milliseconds)

    def _partition(self, random: Random) -> None:
        """Some processes, perhaps with a service, on one side; everybody else on the other."""
        names = [process.name for process in self.world.running()]
        random.shuffle(names)
        side = names[: random.randint(1, max(1, len(names) // 2))]
        services = [COORDINATOR, *(store.name for store in self.world.stores())]
        side += [service for service in services if random.random() < 0.3]
        others = [name for name in (*names, *services) if name not in side]
        both, milliseconds = random.random() < 0.6, self._leases(random, 0.05, 3.0)
        self._cut("partition", (side, others), milliseconds, both=both)

    def _cut_coordinator(self, random: Random) -> None:
        process = self._victim(random)
        way, milliseconds = random.randrange(3), self._leases(random, 0.1, 2.5)
        if process is None:
            return
        here, there = [COORDINATOR], [process.name]
        sides = (here, there) if way == 0 else (there, here)
        self._cut("coordinator cut", sides, milliseconds, both=way == 2)

    def _cut(
        self, kind: str, sides: tuple[list[str], list[str]], milliseconds: float, *, both: bool
    ) -> None:
        here, there = sides
        arrow = "<->" if both else "->"
        what = f"{' '.join(here)} {arrow} {' '.join(there)}, {milliseconds:.1f} ms"
        self._happened(kind, "world", what)
        cuts = [self.world.network.cut(here, there)]
        if both:
            cuts.append(self.world.network.cut(there, here))
        for cut in cuts:
            self.world.call_later(milliseconds, cut.heal)

    def _stall_coordinator(self, random: Random) -> None:
        milliseconds = self._leases(random, 0.1, 3.0)
        self._happened("coordinator stall", COORDINATOR, f"{milliseconds:.1f} ms")
        self.world.coordinator.pause(milliseconds)

    def _restart_coordinator(self, random: Random) -> None:
        """Nobody answers, then another leader does."""
        milliseconds = self._leases(random, 0.05, 1.0)
        self._happened("coordinator restart", COORDINATOR, f"{milliseconds:.1f} ms")
        self.world.coordinator.pause()
        self.world.call_later(milliseconds, self.world.coordinator.restart)

    def _stall_store(self, random: Random) -> None:
        milliseconds = self._leases(random, 0.05, 2.0)
        store = random.choice(self.world.stores())
        self._happened("store stall", store.name, f"{milliseconds:.1f} ms")
        store.pause(milliseconds)

    def _fail_over(self, random: Random) -> None:
        store = random.choice(self.world.stores())
        outage_ms = self._leases(random, 0.002, 1.0)
        stale_ms, names = 0.0, frozenset[str]()
        if random.random() < self.plan.intensity("store stale") ** 0.5:
            stale_ms = self._leases(random, 0.2, 3.0)
            names = frozenset(p.name for p in self.world.running() if random.random() < 0.8)
            if random.random() < 0.6:
                # So smooth that nobody notices: writes go to the new primary, reads to the old.
                outage_ms = 0.0
        self._fail_over_soon(store.name, outage_ms=outage_ms, stale=(stale_ms, names))

    def _fail_over_soon(
        self,
        name: str,
        *,
        outage_ms: float,
        stale: tuple[float, frozenset[str]],
        tries: int = FAILOVER_TRIES,
    ) -> None:
        """Fail over when a batch is visible and not durable, where such things are played."""
        if not self._active:
            return
        store = self.world.store(name)
        waits = self.plan.intensity("store undurable") > 0.0 and not store.home.unsynced_writes
        if waits and tries > 0:
            again = partial(
                self._fail_over_soon, name, outage_ms=outage_ms, stale=stale, tries=tries - 1
            )
            self.world.call_later(1.0, again)
            return
        stale_ms, stale_for = stale
        what = f"out for {outage_ms:.1f} ms, old primary answers {len(stale_for)} processes"
        self._happened("store failover", name, f"{what} for {stale_ms:.1f} ms")
        store.fail_over(outage_ms=outage_ms, stale_ms=stale_ms, stale_for=stale_for)
