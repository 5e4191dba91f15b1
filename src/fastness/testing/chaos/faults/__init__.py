"""Every kind of fault, by name.

contract         what a fault is, and what it leaves to be healed
of_members       processes killed and paused
of_links         what passes between members: stopped, one way or both, lost, slowed down
of_surroundings  clocks that jump, disks that fill up
of_operators     restarts in turn
"""

from __future__ import annotations

from fastness.testing.chaos.faults.contract import Blow, Fault
from fastness.testing.chaos.faults.of_links import LINKS
from fastness.testing.chaos.faults.of_members import MEMBERS
from fastness.testing.chaos.faults.of_operators import OPERATORS
from fastness.testing.chaos.faults.of_surroundings import SURROUNDINGS

FAULTS = {fault.name: fault for fault in (*MEMBERS, *LINKS, *SURROUNDINGS, *OPERATORS)}

__all__ = ["FAULTS", "Blow", "Fault"]
