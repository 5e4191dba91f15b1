"""Rounds of servers: each lasts a given time, however much a contender gets done in it.

Contenders here differ by orders of magnitude, so rounds of equal work would leave most of a run
to the slowest. What is judged is the rate, round by round. Operations are timed singly: reading
the clock twice is nothing beside a round trip.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter_ns

from benchmarks.samples import NS_PER_S, Round


async def tasks_for(
    seconds: float,
    operation: Callable[[bytes], Awaitable[object]],
    keys: Sequence[bytes],
    tasks: int,
    *,
    rest_s: float = 0.0,
) -> Round:
    """A round in which so many tasks take one key after another, resting `rest_s` in between."""
    drawn = itertools.cycle(keys)
    taken: list[int] = []
    start = perf_counter_ns()
    end = start + round(seconds * NS_PER_S)

    async def work() -> None:
        before = perf_counter_ns()
        while before < end:
            await operation(next(drawn))
            after = perf_counter_ns()
            taken.append(after - before)
            if rest_s:
                await asyncio.sleep(rest_s)
                after = perf_counter_ns()
            before = after

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(work())
    return Round(len(taken), perf_counter_ns() - start, taken)


def alone_for(seconds: float, operation: Callable[[bytes], object], keys: Sequence[bytes]) -> Round:
    """A round of one thread that takes one key after another."""
    taken: list[int] = []
    start = before = perf_counter_ns()
    end = start + round(seconds * NS_PER_S)
    for key in itertools.cycle(keys):
        operation(key)
        after = perf_counter_ns()
        taken.append(after - before)
        before = after
        if after >= end:
            break
    return Round(len(taken), perf_counter_ns() - start, taken)


def weighed(played: Round, weight: int) -> Round:
    """A round whose operations count as `weight` each."""
    return played._replace(operations=played.operations * weight)
