"""Workloads of the simulated cluster: what its clients do, together in one database.

==============  ============================================================================
`Registers`     single keys, latest reads: linearizable
`Lists`         list-append over many ranges: strictly serializable, exactly
`Variables`     read-write registers over many ranges
`Bank`          a conserved sum
`Mixture`       every operation there is; judged by the replay
==============  ============================================================================

All of them are judged by the replay as well (`fastness.testing.replay`).
"""

from __future__ import annotations

from fastness.testing.simulation.workloads.bank import Bank
from fastness.testing.simulation.workloads.contract import PLACES, REGION, SimulatedWorkload
from fastness.testing.simulation.workloads.lists import Lists
from fastness.testing.simulation.workloads.mixture import Mixture
from fastness.testing.simulation.workloads.registers import Registers
from fastness.testing.simulation.workloads.variables import Variables

WORKLOADS: tuple[type[SimulatedWorkload], ...] = (Registers, Lists, Variables, Bank, Mixture)
"""All of them, in the order they are set up."""

__all__ = [
    "PLACES",
    "REGION",
    "WORKLOADS",
    "Bank",
    "Lists",
    "Mixture",
    "Registers",
    "SimulatedWorkload",
    "Variables",
]
