"""What one run plays: everything that is drawn from its seed, and what a caller changed.

A scenario can be made smaller without changing the rest: each part draws from a stream of its
own, so that leaving out a workload, a kind of fault or half of the clients keeps what the others
do (that is how a failing seed is shrunk).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from shlex import quote
from typing import Self

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import InvalidOption
from fastness.limits import Limits
from fastness.model.layout import RECORDS, REGISTRY
from fastness.testing.simulation.faults import KINDS, FaultPlan
from fastness.testing.simulation.workloads import PLACES, REGION, WORKLOADS

NODES = 5
RANGES = 8
STORES = ("store-a", "store-b")
CLIENTS = 6
TASKS = 4
"""Of each client process."""
LEISURELY = 0.12
"""How many seeds have clients that do little."""
REMEMBERING = 0.5
"""How many seeds have nodes that remember what they read."""
COMMITS = 300
"""A run goes on until so many transactions have committed, and half as many of them writes."""
FAULTS_MS = 4_000.0
BALANCING = 0.5
"""How many seeds have nodes that even out what they have to do."""
QUIET_MS_MAX = 30_000.0
"""How long everything may take to end once faults have stopped."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run, before it has begun."""

    seed: int
    workloads: tuple[str, ...]
    plan: FaultPlan
    limits: Limits
    clients: int = CLIENTS
    tasks: int = TASKS
    commits: int = COMMITS
    faults_ms: float = FAULTS_MS
    """How long faults strike."""
    balance_ms: int = 0
    """How often the nodes even out what they have to do; 0: they do not."""
    plant: str = ""
    """A bug planted in the protocol."""
    remembered_bytes: int = 0
    """How much each node remembers of what it reads; 0: every read goes to its store."""

    @classmethod
    def draw(
        cls,
        seed: int,
        *,
        workloads: Sequence[str] = (),
        disabled: Iterable[str] = (),
        plant: str = "",
    ) -> Self:
        """The scenario of a seed; only some workloads if any are named, without some faults."""
        random = Random(f"{seed}/scenario")
        limits = _limits(random)
        return cls(
            seed=seed,
            workloads=_workloads(workloads),
            plan=FaultPlan.draw(seed, lease_ms=limits.lease_ms, disabled=disabled),
            limits=limits,
            faults_ms=random.uniform(5.0, 10.0) * limits.lease_ms,
            balance_ms=_balance_ms(seed, limits.lease_ms),
            plant=plant,
            remembered_bytes=_remembered_bytes(seed),
        )

    def smaller(
        self,
        *,
        workloads: Sequence[str] = (),
        without: Iterable[str] = (),
        clients: int = 0,
        tasks: int = 0,
        commits: int = 0,
        faults_ms: float = 0.0,
    ) -> Self:
        """The same with less in it."""
        return replace(
            self,
            workloads=_workloads(workloads) if workloads else self.workloads,
            plan=self.plan.without(without),
            clients=clients or self.clients,
            tasks=tasks or self.tasks,
            commits=commits or self.commits,
            faults_ms=faults_ms or self.faults_ms,
        )

    @property
    def pace_ms(self) -> float:
        """The pause between two things one task does, on average."""
        random = Random(f"{self.seed}/pace")
        leases = random.uniform(0.02, 0.3)
        # At leisure, a deposed node may be read for long before a write runs into the fence.
        return leases * (8 if random.random() < LEISURELY else 1) * self.limits.lease_ms

    def ranges(self) -> list[tuple[bytes, bytes, str]]:
        """Begin, end and store of the first ranges: cut where workloads are contiguous, too."""
        random = Random(f"{self.seed}/ranges")
        edges = sorted(random.sample(_cuts(random), RANGES - 1))
        begins, ends = [b"", *edges], [*edges, SYSTEM_END]
        stores = [random.choice(STORES) for _ in begins]
        return list(zip(begins, ends, stores, strict=True))

    def command(self) -> str:
        """The command line that runs it again."""
        drawn = Scenario.draw(self.seed)
        words = ["fastness simulate", f"--seed {self.seed}"]
        if self.workloads != drawn.workloads:
            words += [f"--workload {name}" for name in self.workloads]
        for kind in KINDS:
            if drawn.plan.intensity(kind) > 0.0 and not self.plan.intensity(kind) > 0.0:
                words.append(f"--disable {quote(kind)}")
        for name in ("clients", "tasks", "commits"):
            if getattr(self, name) != getattr(drawn, name):
                words.append(f"--{name} {getattr(self, name)}")
        if self.faults_ms != drawn.faults_ms:
            words.append(f"--faults-ms {self.faults_ms:.0f}")
        if self.plant:
            words.append(f"--plant {quote(self.plant)}")
        return " ".join(words)


def _remembered_bytes(seed: int) -> int:
    """Nothing for half of the seeds; for the others room for a few keys, or for everything."""
    random = Random(f"{seed}/memory")
    wanted, bytes_max = random.random(), int(10.0 ** random.uniform(3.5, 7.0))
    return bytes_max if wanted < REMEMBERING else 0


def _balance_ms(seed: int, lease_ms: int) -> int:
    """Nothing for half of the seeds; for the others often enough to meet with faults."""
    random = Random(f"{seed}/balance")
    wanted, leases = random.random(), random.uniform(0.2, 3.0)
    return int(leases * lease_ms) if wanted < BALANCING else 0


def _workloads(names: Sequence[str]) -> tuple[str, ...]:
    kinds = [workload.kind for workload in WORKLOADS]
    unknown = [name for name in names if name not in kinds]
    if unknown:
        raise InvalidOption(f"no workload is called {unknown[0]!r}: choose from {', '.join(kinds)}")
    return tuple(kind for kind in kinds if not names or kind in names)


def _cuts(random: Random) -> list[bytes]:
    """Where the first ranges may begin: between places, inside regions, among typed records."""
    cuts = [*PLACES[1:], REGION, RECORDS, REGISTRY]
    cuts += [REGION + workload.kind.encode() + b"/" for workload in WORKLOADS]
    cuts += [REGION + b"token/%04d" % random.randrange(40), REGION + b"mixture/j"]
    cuts += [REGION + b"travel/%03d" % random.randrange(30), REGION + b"duty/00/04"]
    cuts += [random.choice(PLACES) + kind for kind in (b"bank/", b"list/", b"register/00001")]
    return sorted(dict.fromkeys(cuts))


def _limits(random: Random) -> Limits:
    """Small times, so that leases end often in little virtual time; sometimes small tables."""
    lease_ms = random.randint(250, 800)
    limits = replace(
        Limits(),
        lease_ms=lease_ms,
        poll_ms=lease_ms // 2,
        cache_lease_ms=max(20, int(lease_ms * random.uniform(0.1, 0.8))),
        prepare_ms=int(lease_ms * random.uniform(0.5, 2.0)),
        ask_ms=random.randint(20, 100),
        call_ms=random.randint(30, 150),
        operation_ms=8 * lease_ms,
        commit_ms=8 * lease_ms,
        retry_ms=20 * lease_ms,
        backoff_ms=random.choice((100, 500)),
        outcome_ms=120_000,
        ceiling_ms=random.choice((50, 500, 5_000)),
    )
    if random.random() < 0.25:
        # Ids grow old while their commits are still being sent again.
        limits = replace(limits, outcome_ms=random.randint(100, 1_500))
    if random.random() < 0.4:
        limits = replace(
            limits,
            retention_ms=random.randint(50, 1_500),
            prune_every_ms=random.randint(40, 300),
            prune_pause_ms=5,
            prune_step_keys=random.randint(1, 200),
        )
    if random.random() < 0.25:
        limits = _crowded(limits, random)
    if random.random() < 0.3:
        limits = replace(limits, recent_keys=random.randint(1, 30))
    if random.random() < 0.3:
        limits = replace(limits, tracked_keys=random.randint(1, 10))
    if random.random() < 0.2:
        limits = replace(limits, batch_commits=random.randint(1, 4))
    if random.random() < 0.2:
        limits = replace(limits, cache_bytes=random.randint(200, 2_000))
    return limits


def _crowded(limits: Limits, random: Random) -> Limits:
    """Queues so short that they are full again and again: everybody is refused now and then."""
    short = {
        "commits_queued": random.randint(2, 8),
        "reads_queued": random.randint(2, 8),
        "prepared": random.randint(1, 3),
        "requests_in_flight": random.randint(4, 12) + len(PLACES),
        "draws_queued": random.randint(1, 3),
        "calls_in_flight": random.randint(6, 12),
    }
    chosen = [name for name in short if random.random() < 0.5]
    return replace(limits, **{name: short[name] for name in chosen})
