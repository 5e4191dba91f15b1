"""Which faults a seed plays, and how hard: drawn so that seeds differ in kind, not only in luck.

Some seeds are calm, some play a single kind of fault, some all of them at once, most a mix. A
seed where everything fails all the time tests little: nothing gets far enough to go wrong.
Each kind is drawn from a stream of its own, so that switching one off (to shrink a failing seed)
leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Final

from fastness.errors import InvalidOption
from fastness.testing.simulation.clocks import DRIFT_PPM_MAX

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "crash": "a process dies between two events, and is started again later",
        "crash in a step": "a process dies in the middle of what it is doing",
        "pause": "a process stops for a few milliseconds, or for longer than a lease",
        "pause in a step": "the same in the middle of what it is doing: what it sends leaves late",
        "slow": "everything from and to a process takes many times as long",
        "drift": "clocks of processes run too fast or too slow, by up to one per cent",
        "wall jump": "the wall clock of a process is set forward or back",
        "drop": "frames are lost",
        "duplicate": "frames arrive twice",
        "delay": "frames arrive long after those sent later",
        "corrupt": "frames arrive damaged",
        "partition": "some processes and services cannot reach the others, or only be reached",
        "coordinator loss": "requests to the coordinator, or its answers, are lost or very late",
        "coordinator stall": "the coordinator answers nobody for a while",
        "coordinator restart": "another leader takes over: sessions get their time again",
        "coordinator cut": "one process cannot reach the coordinator, or not hear from it",
        "store loss": "requests to a store, or its answers, are lost or very late",
        "store stall": "a store answers nobody for a while",
        "store slow": "some requests to a store take very long",
        "store refusal": "a store has no space for a batch",
        "store undurable": "batches are visible before they are durable",
        "store failover": "a store loses its primary, with what was not durable",
        "store stale": "the old primary goes on answering reads",
    }
)
"""Every kind of fault, by name."""

CALM, SINGLE, EVERYTHING = 0.08, 0.2, 0.1
"""How many of all seeds play no fault, one kind, and all kinds. The rest plays a mix."""
LEASE_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How hard each kind of fault strikes: 0 (not listed) to 1. Times are told in leases."""

    intensities: Mapping[str, float] = field(default_factory=dict)
    lease_ms: float = LEASE_MS
    """How long a lease lives in the system under test: pauses and cuts are around it."""

    def __post_init__(self) -> None:
        _require_known(self.intensities)

    @classmethod
    def draw(
        cls, seed: int | str, *, lease_ms: float = LEASE_MS, disabled: Iterable[str] = ()
    ) -> FaultPlan:
        """The plan of a seed. `disabled` kinds are left out, without changing the others."""
        random = Random(f"{seed}/faults")
        draw, single = random.random(), random.choice(list(KINDS))
        intensities = {}
        for kind in KINDS:
            random = Random(f"{seed}/faults/{kind}")
            wanted, intensity = random.random(), 10.0 ** random.uniform(-1.0, 0.0)
            if draw < CALM:
                share = 0.0
            elif draw < CALM + SINGLE:
                share = float(kind == single)
            else:
                share = 1.0 if draw < CALM + SINGLE + EVERYTHING else 0.35
            if wanted < share:
                intensities[kind] = intensity
        return cls(intensities, lease_ms).without(disabled)

    @classmethod
    def everything(cls, *, intensity: float = 1.0, lease_ms: float = LEASE_MS) -> FaultPlan:
        """Every kind at once."""
        return cls(dict.fromkeys(KINDS, intensity), lease_ms)

    def without(self, disabled: Iterable[str]) -> FaultPlan:
        """The plan without some kinds."""
        disabled = frozenset(disabled)
        _require_known(disabled)
        kept = {kind: rate for kind, rate in self.intensities.items() if kind not in disabled}
        return FaultPlan(kept, self.lease_ms)

    def intensity(self, kind: str) -> float:
        """How hard a kind strikes, 0 for not at all."""
        return self.intensities.get(kind, 0.0)

    @property
    def drift_ppm(self) -> int:
        """For `World`: how far clocks drift."""
        return int(DRIFT_PPM_MAX * (1.0 if "drift" in self.intensities else 0.0))

    def describe(self) -> str:
        """The plan in one line."""
        shown = [f"{kind} {rate:.2f}" for kind, rate in self.intensities.items()]
        return ", ".join(shown) or "calm"


def _require_known(kinds: Iterable[str]) -> None:
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InvalidOption(
            f"no kind of fault is called {unknown[0]!r}: choose from {', '.join(KINDS)}"
        )
