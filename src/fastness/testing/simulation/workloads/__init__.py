"""Workloads of the simulated cluster: what its clients do, together in one database.

==============  ============================================================================
`Registers`     single keys, latest reads: linearizable
`Lists`         list-append over many ranges: strictly serializable, exactly
`Variables`     read-write registers over many ranges
`Bank`          a conserved sum
`CachedReads`   bursts of reads that near caches serve, against real time
`Counters`      atomic additions, each exactly once
`Duties`        write skew and phantoms, tried on purpose
`Tokens`        long scans while tokens move between ranges
`Travels`       snapshots of the past, read again
`Journals`      versionstamped entries that replay to the state
`Sessions`      values that expire
`People`        typed records, a unique index, associations from both ends
`Mixture`       every operation there is; judged by the replay
==============  ============================================================================

All of them are judged by the replay as well (`fastness.testing.replay`).
"""

from __future__ import annotations

from fastness.testing.simulation.workloads.bank import Bank
from fastness.testing.simulation.workloads.cached import CachedReads
from fastness.testing.simulation.workloads.contract import PLACES, REGION, SimulatedWorkload
from fastness.testing.simulation.workloads.counters import Counters
from fastness.testing.simulation.workloads.duties import Duties
from fastness.testing.simulation.workloads.journal import Journals
from fastness.testing.simulation.workloads.lists import Lists
from fastness.testing.simulation.workloads.mixture import Mixture
from fastness.testing.simulation.workloads.people import People
from fastness.testing.simulation.workloads.registers import Registers
from fastness.testing.simulation.workloads.sessions import Sessions
from fastness.testing.simulation.workloads.tokens import Tokens
from fastness.testing.simulation.workloads.travels import Travels
from fastness.testing.simulation.workloads.variables import Variables

WORKLOADS: tuple[type[SimulatedWorkload], ...] = (
    Registers,
    Lists,
    Variables,
    Bank,
    CachedReads,
    Counters,
    Duties,
    Tokens,
    Travels,
    Journals,
    Sessions,
    People,
    Mixture,
)
"""All of them, in the order they are set up."""

__all__ = [
    "PLACES",
    "REGION",
    "WORKLOADS",
    "Bank",
    "CachedReads",
    "Counters",
    "Duties",
    "Journals",
    "Lists",
    "Mixture",
    "People",
    "Registers",
    "Sessions",
    "SimulatedWorkload",
    "Tokens",
    "Travels",
    "Variables",
]
