"""Bugs planted on purpose, to see that the checkers of the simulator notice.

`planting.py` says how a bug is switched on and off; the other modules hold the bugs by the part
of the protocol they break.
"""

from fastness.testing.simulation.bugs import (
    across_ranges,
    in_one_range,
    of_caches,
    of_memory,
    of_moves,
    of_time_and_stores,
)
from fastness.testing.simulation.bugs.planting import BUGS, Bug, planted

__all__ = [
    "BUGS",
    "Bug",
    "across_ranges",
    "in_one_range",
    "of_caches",
    "of_memory",
    "of_moves",
    "of_time_and_stores",
    "planted",
]
