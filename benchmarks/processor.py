"""Processor time of a round, in every process that took part in it.

On a machine with other work it is the figure to trust: what others use is not in it. The system
counts in ticks (10 ms), so rounds last long beside one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.samples import Cpu, Round
from fastness.laptop.processes import cpu_ns

CLIENT = "client"
"""This process."""

Parts = Mapping[str, Sequence[int]]
"""What runs beside this process: first processes by the name of the part they are."""


def spent_ns(pids: Sequence[int]) -> int | None:
    """What some processes and all below them used so far; `None` where nobody tells."""
    figures = [cpu_ns(pid) for pid in pids]
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None


def with_cpu(play: Callable[[], Round], pids: Sequence[int]) -> Round:
    """A round, with what it took here and in these servers."""
    client_ns, server_ns = time.process_time_ns(), spent_ns(pids)
    played = play()
    after_ns = spent_ns(pids)
    if server_ns is None or after_ns is None:
        return played
    taken = Cpu(time.process_time_ns() - client_ns, after_ns - server_ns)
    return played._replace(cpu_ns=taken)


class Bill(NamedTuple):
    """What rounds of one operation took, all together."""

    operations: int
    elapsed_ns: int
    cpu_ns: dict[str, int]
    """By part."""

    def and_also(self, other: Bill) -> Bill:
        """Both together; they have the same parts."""
        cpu = {part: spent + other.cpu_ns[part] for part, spent in self.cpu_ns.items()}
        return Bill(self.operations + other.operations, self.elapsed_ns + other.elapsed_ns, cpu)


def billed(play: Callable[[], Round], parts: Parts) -> Bill:
    """Play a round, and see what every part took; a part that nobody can tell of took nothing."""
    before = {part: spent_ns(pids) or 0 for part, pids in parts.items()}
    client_ns = time.process_time_ns()
    played = play()
    taken = {CLIENT: time.process_time_ns() - client_ns}
    for part, pids in parts.items():
        taken[part] = max(0, (spent_ns(pids) or 0) - before[part])
    return Bill(played.operations, played.elapsed_ns, taken)
