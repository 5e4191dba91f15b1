"""A whole simulated cluster: five nodes, eight ranges over two stores, clients, an operator.

::

    set up -> faults, clients and operator at once -> heal -> everything must end -> look -> judge

The clients act out all workloads together in one database while the faults of the seed strike.
When they have stopped, every transaction must end, every intent be resolved, and new transactions
must go through, within bounds of virtual time. Then outcomes that clients did not learn are asked
for, the workloads look at what is left, and the checkers judge what was recorded.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import asdict, replace
from random import Random
from typing import Any

from fastness import invariants
from fastness.client.cluster import ClusterClient
from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import FastnessError, MaybeCommitted
from fastness.hosting.remembering import Pool, RememberingStore
from fastness.hosting.remote import RemoteStore
from fastness.invariants import InvariantViolation
from fastness.node import Counts, Node, bootstrap
from fastness.placement.cluster_view import decode_descriptor
from fastness.placement.coordinator import RANGES
from fastness.placement.descriptors import Descriptor
from fastness.ranges.shape import MOVED, MOVING
from fastness.testing._timeline import stamp
from fastness.testing.history import Outcome
from fastness.testing.ledger import Ledger, Set, StampKey
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.simulation.crowd import Crowd
from fastness.testing.simulation.followers import Follower
from fastness.testing.simulation.operators import Operator, Sights
from fastness.testing.simulation.places import check_places
from fastness.testing.simulation.processes import SimulatedProcess
from fastness.testing.simulation.report import Finding, RunReport
from fastness.testing.simulation.scenario import NODES, QUIET_MS_MAX, STORES, Scenario
from fastness.testing.simulation.swarm import Swarm
from fastness.testing.simulation.verdict import judge
from fastness.testing.simulation.workloads import PLACES, WORKLOADS
from fastness.testing.simulation.world import World

SETUP_MS_MAX = 20_000.0
STEP_S = 0.02
"""How often the harness looks, in virtual seconds."""
LOOK_S = 0.05
"""How often the change logs are followed, and commits counted."""
VIRTUAL_MS_MAX = 120_000.0
ENDED_LEASES = 40
"""How many leases after the faults every transaction has ended: a client gives up after 36."""
DECIDED_LEASES = 24
"""How many later every intent is resolved: deadlines are two leases at most.

They are timestamps, and those go at half the pace while a new oracle's wall clock catches up.
"""
WALL_OFF_MS = 10_000
"""How far wall clocks are off, at most."""
PROBED_LEASES = 12
"""How many it may take new transactions to go through."""
PROBES = 12
"""Transactions that must go through at the end."""


class Stuck(InvariantViolation):
    """Something did not end within its bound of virtual time."""


class SimulatedCluster:
    """One run. `run` may be called once."""

    def __init__(
        self, scenario: Scenario, *, write_line: Callable[[str], None] | None = None
    ) -> None:
        """Nothing happens yet; `write_line` gets the story as it happens."""
        self.scenario = scenario
        self.world = World(
            scenario.seed,
            drift_ppm=scenario.plan.drift_ppm,
            wall_off_ms=WALL_OFF_MS,
            limit_ms=VIRTUAL_MS_MAX + SETUP_MS_MAX + 4 * QUIET_MS_MAX,
            write_line=write_line,
        )
        self.ledger = Ledger()
        self.workloads = [
            kind(Random(f"{scenario.seed}/{kind.kind}"))
            for kind in WORKLOADS
            if kind.kind in scenario.workloads
        ]
        for workload in self.workloads:
            workload.pause_s = scenario.pace_ms / 5_000
        self.nodes: list[Node] = []
        """Every one that ever ran."""
        self.pools: list[Pool] = []
        """What they remember, where they do."""
        self.crowd = Crowd(self.world, scenario, self.workloads, self.ledger, self.addresses)
        self.swarm = Swarm(self.world, scenario.plan)
        self.follower = Follower(self.world.stores, self._living_nodes, scenario.ranges())
        self.operator: Operator | None = None
        self._operating: asyncio.Task[None] | None = None
        self.report = RunReport(
            seed=scenario.seed, command=scenario.command(), plan=scenario.plan.describe()
        )

    # ----------------------------------------------------------------- the run

    def run(self) -> RunReport:
        """Play it, judge it."""
        begun = time.process_time()
        report = self.report
        try:
            with self.world:
                self.world.run(self._play())
        except InvariantViolation as error:
            self._found(type(error).__name__, _story(error))
        else:
            logs = {store.name: store.log() for store in self.world.stores()}
            told = [] if self.operator is None else self.operator.told
            for verdict in judge(self.ledger, self.workloads, logs, self.follower, told):
                for anomaly in verdict.anomalies:
                    self._found(anomaly.name, f"{verdict.checker}: {anomaly}")
            report.unresolved = len(self.ledger.unresolved())
        self._summarize()
        report.cpu_seconds = time.process_time() - begun
        return report

    async def _play(self) -> None:
        self._start_nodes()
        client = self._client("operator")
        await self._within("the cluster is set up", SETUP_MS_MAX, self._set_up(client))
        self.swarm.begin()
        self.crowd.begin()
        self._start_operator(client)
        await self._until_enough()
        await self._end()

    def _start_nodes(self) -> None:
        for store in STORES:
            self.world.store(store)
        for number in range(NODES):
            self.world.start(f"node-{number + 1}", self._start_node)

    def _start_node(self, process: SimulatedProcess) -> None:
        patience_ms = self.scenario.limits.lease_ms
        world = self.world
        coordinator = world.coordinator_for(process, patience_ms=patience_ms)
        stores: dict[str, RemoteStore] = {
            name: world.store_for(process, name, patience_ms=patience_ms) for name in STORES
        }
        if self.scenario.remembered_bytes:
            pool = Pool(self.scenario.remembered_bytes)
            self.pools.append(pool)
            stores = {name: RememberingStore(one, pool, process) for name, one in stores.items()}
        limits, balance_ms = self.scenario.limits, self.scenario.balance_ms
        if balance_ms:
            limits = replace(limits, balance_ms=balance_ms)
        node = Node(process, coordinator, stores, limits)
        if balance_ms:
            node.join("", {}, {})
        self.nodes.append(node)
        node.start()

    def addresses(self) -> list[str]:
        """Addresses of the nodes that live."""
        return [one.address for one in self.world.running() if one.name.startswith("node-")] or [
            "node-1"
        ]

    def _client(self, name: str) -> ClusterClient:
        process = self.world.process(name)
        return ClusterClient(process, self.addresses(), self.scenario.limits)

    async def _set_up(self, client: ClusterClient) -> None:
        """Write the first descriptors, and what the workloads begin with."""
        process = self.world.process("operator")
        await bootstrap(self.world.coordinator_for(process), self.scenario.ranges())
        database = RecordedDatabase(client, self.ledger, 0)
        for workload in self.workloads:
            await self._again(workload.prepare, database)

    def _descriptors(self) -> list[Descriptor]:
        """Every range there is, as the coordinator has it."""
        entries = self.world.coordinator.snapshot()
        return [decode_descriptor(one) for key, one in entries.items() if key.startswith(RANGES)]

    def _start_operator(self, client: ClusterClient) -> None:
        process = self.world.process("operator")
        crowd = self.crowd
        sights = Sights(self.addresses, self._some_key, self._tempting, crowd.commits_under_way)
        self.operator = Operator(self.world, client, sights)
        self._operating = process.spawn(self.operator.work(), name="work")

    def _tempting(self) -> list[int]:
        """Ranges in which transactions are prepared and undecided."""
        return [
            range_id
            for node in self.nodes
            for range_id, holder in node.leaseholders.items()
            if len(holder.locks)
        ]

    def _some_key(self, random: Random) -> bytes | None:
        """A key that was written lately, one between all of them, or one among journal entries.

        Of a journal any key: an entry, where one will be soon, one that reads as of the far future.
        """
        attempts = self.ledger.attempts
        for _ in range(20):
            one = attempts[-random.randint(1, min(200, len(attempts)))]
            keys = [effect.key for effect in one.writes if isinstance(effect, Set)]
            if one.commit_timestamp:
                entries = [effect for effect in one.writes if isinstance(effect, StampKey)]
                soon = one.commit_timestamp + from_milliseconds(random.choice([0, 100, 300]))
                keys += [effect.prefix + stamp(soon) + effect.suffix for effect in entries]
                keys += [effect.prefix + b"no stamp" for effect in entries]
            if keys:
                return random.choice(keys)
        return random.choice(PLACES)

    # -------------------------------------------------------------------- phases

    async def _until_enough(self) -> None:
        """Let faults strike for their time, and clients act until enough was committed."""
        world, scenario = self.world, self.scenario
        end_ms = world.now_ms + scenario.faults_ms
        while world.now_ms < end_ms:
            self.follower.look()
            await asyncio.sleep(LOOK_S)
        ledger = self.ledger
        early = ledger.committed_writes
        self.swarm.quiet()
        while ledger.committed < scenario.commits or 2 * ledger.committed_writes < scenario.commits:
            if world.now_ms > VIRTUAL_MS_MAX:
                raise Stuck(
                    f"only {ledger.committed} of {scenario.commits} transactions committed in "
                    f"{world.now_ms / 1_000:.0f} virtual seconds, {ledger.committed_writes} of "
                    f"them writes; faults stopped at {end_ms / 1_000:.0f}"
                )
            self.follower.look()
            await asyncio.sleep(LOOK_S)
        self.report.late_commits = ledger.committed_writes - early

    async def _end(self) -> None:
        """Everything must end, and what is left be seen."""
        self.crowd.stopping = True
        if self.operator is not None:
            self.operator.stopping = True
        lease_ms = self.scenario.limits.lease_ms
        await self._within("every client ends", ENDED_LEASES * lease_ms, self._clients_ended())
        await self._within(
            "every intent is resolved",
            DECIDED_LEASES * lease_ms,
            self._all_decided(),
        )
        await self._within("what moves left behind is removed", QUIET_MS_MAX, self._tidied())
        client = self._client("inspector")
        database = RecordedDatabase(client, self.ledger, 1 << 16)
        await self._within("outcomes are told", QUIET_MS_MAX, self._resolve(client))
        await self._within(
            "transactions go through",
            PROBED_LEASES * lease_ms,
            self._again(self._probe, database),
        )
        for workload in self.workloads:
            # At leisure, a scan might take longer than versions are kept, again and again.
            workload.pause_s = 0.0
            what = f"{workload.kind} looks at what is left"
            await self._within(what, QUIET_MS_MAX, self._again(workload.conclude, database))
        self.report.findings += check_places(self.world.stores(), self._descriptors())

    async def _clients_ended(self) -> None:
        operating = self._operating
        await self._until(lambda: not self.crowd.acting and (operating is None or operating.done()))

    async def _all_decided(self) -> None:
        await self._until(lambda: not self.undecided())

    async def _tidied(self) -> None:
        """Nothing is done to any range, none remembers a move, and each has one holder."""

        def tidy() -> bool:
            if any(node.changing for node in self._living_nodes()):
                return False
            records = [
                holder.records
                for node in self._living_nodes()
                for holder in node.leaseholders.values()
            ]
            return not any(MOVING in one or MOVED in one for one in records)

        await self._until(tidy)

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Look now and then, from outside: nothing of the cluster would tell by itself."""
        waited = 0.0
        while not holds():
            waited += STEP_S
            await asyncio.sleep(STEP_S)

    def undecided(self) -> dict[str, int]:
        """Intents and decisions that nodes still hold, by node and range."""
        return {
            f"{node.address} range {range_id}": holder.undecided
            for node in self._living_nodes()
            for range_id, holder in node.leaseholders.items()
            if holder.undecided
        }

    def _living_nodes(self) -> list[Node]:
        alive = self.addresses()
        return [node for node in self.nodes if node.address in alive]

    async def _resolve(self, client: ClusterClient) -> None:
        """Ask what became of the transactions whose clients never learned it."""
        for one in self.ledger.unresolved():
            self.report.unknown += 1
            if not one.identity:
                one.resolve(None)
                continue
            try:
                one.resolve(await client.outcome(one.identity))
            except MaybeCommitted:
                # Too old for the range to know; the log tells.
                continue

    async def _probe(self, database: RecordedDatabase) -> None:
        """New transactions in and across all places."""

        async def probe(tx: RecordedTransaction) -> None:
            for place in PLACES:
                key = place + b"probe"
                tx.set(key, b"%d" % len((await tx.get(key)) or b""))

        for _ in range(PROBES):
            await database.run("probe", probe)

    async def _again(
        self,
        act: Callable[[RecordedDatabase], Coroutine[Any, Any, None]],
        database: RecordedDatabase,
    ) -> None:
        """Do something that must succeed in the end, whatever it meets at first."""
        while True:
            try:
                await act(database)
            except FastnessError as error:
                if (
                    not (error.retryable or error.maybe_committed)
                    and error.code != "deadline_exceeded"
                ):
                    raise
                await asyncio.sleep(STEP_S)
            else:
                return

    async def _within(self, what: str, bound_ms: float, work: Coroutine[Any, Any, None]) -> None:
        """Let the world do something, which must end in time."""
        task = asyncio.ensure_future(work)
        end_ms = self.world.now_ms + bound_ms
        while not task.done():
            if self.world.now_ms > end_ms:
                task.cancel()
                raise Stuck(
                    f"within {bound_ms / 1_000:.0f} virtual seconds after the faults: {what}; it "
                    f"did not. {self._state()}"
                )
            await asyncio.sleep(STEP_S)
        await task

    # ------------------------------------------------------------------- figures

    def _state(self) -> str:
        """What is still going on."""
        open_ones = [one for one in self.ledger if one.completed is None][-6:]
        shown = ", ".join(f"{one.name} {one.kind}" for one in open_ones)
        return f"{self.crowd.acting} tasks act, open: {shown}; undecided: {self.undecided()}"

    def _found(self, name: str, explanation: str) -> None:
        self.report.findings.append(Finding(name, explanation))

    def _summarize(self) -> None:
        """Count what happened."""
        report, world = self.report, self.world
        outcomes = [(one.outcome, bool(one.writes)) for one in self.ledger]
        report.commits = self.ledger.committed_writes
        report.reads = outcomes.count((Outcome.OK, False))
        report.aborts = sum(outcome is Outcome.FAILED for outcome, _ in outcomes)
        report.virtual_ms = world.now_ms
        report.digest = world.digest()
        report.faults.update(world.counts)
        report.crashes = world.counts["crash"] + world.counts["crash in a step"]
        report.partitions = world.counts["partition"] + world.counts["coordinator cut"]
        for node in self.nodes:
            report.counts.update(_figures(node.counts))
        for pool in self.pools:
            report.counts.update(
                {f"remembered_{name}": count for name, count in asdict(pool.counts).items()}
            )
        if report.counts["alarms"]:
            self._found("alarm", f"{report.counts['alarms']} alarms were raised: see the trace")
        report.moves = report.counts["moves"]
        report.splits, report.merges = report.counts["splits"], report.counts["merges"]
        report.transfers, report.failovers = (
            report.counts["transfers"],
            report.counts["takeovers"],
        )
        for client in self.crowd.clients:
            report.cache_hits += client.counts.cache.hits
            report.across_ranges += client.counts.commits.across_ranges


def _figures(counts: Counts) -> dict[str, int]:
    return {name: value for name, value in asdict(counts).items() if value}


def _story(error: BaseException) -> str:
    """An error with what caused it, and where: for an invariant, where it was asked for."""
    lines = []
    cause: BaseException | None = error
    while cause is not None:
        calls = [
            call
            for call in traceback.extract_tb(cause.__traceback__)
            if call.filename != invariants.__file__
        ]
        where = ""
        if calls:
            file = calls[-1].filename.rpartition("fastness/")[2]
            where = f" ({file}:{calls[-1].lineno})"
        lines.append(f"{type(cause).__name__}: {cause}{where}")
        cause = cause.__cause__
    return "\n  caused by ".join(lines)
