"""Alternating rounds: every contender plays one, then every contender plays the next.

The order rotates from round to round, so that nobody always follows the same neighbour (whose
background compaction or cold cache it would inherit). The first round warms up and is thrown
away. Garbage is collected before each round, and collection stays on within it: what a
program leaves to the collector is part of its cost.

Operations far under a microsecond are timed by the round; a separate round times them singly
for the percentiles, since reading the clock twice costs about as much as such an operation.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from typing import Any, Generic, NamedTuple, TypeVar

from benchmarks.samples import Percentiles, Round, Series

Argument = TypeVar("Argument")
Operation = Callable[[Argument], object]
Session = Callable[[], AbstractContextManager[Operation[Argument]]]
"""Gives the operation that a round repeats; what enters and leaves it is timed too."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One of those compared: a name, and how to play a round."""

    name: str
    play: Callable[[], Round]


@dataclass(frozen=True, slots=True)
class Repetition(Generic[Argument]):
    """A contestant that does in every round one operation after another, on these arguments."""

    name: str
    session: Session[Argument]
    arguments: Sequence[Argument]


class Timed(NamedTuple):
    """Rounds timed as a whole, and the percentiles of one whose operations were timed singly."""

    series: Series
    percentiles: Percentiles | None


def contest(contestants: Sequence[Contestant], *, rounds: int) -> dict[str, Series]:
    """Play `rounds` rounds each, in turn, after one round each to warm up."""
    series = {one.name: Series(one.name) for one in contestants}
    for one in contestants:
        one.play()
    for number in range(rounds):
        turn = number % len(contestants)
        for one in (*contestants[turn:], *contestants[:turn]):
            gc.collect()
            series[one.name].rounds.append(one.play())
    return series


def repeating(operation: Operation[Argument]) -> Session[Argument]:
    """A session of an operation that needs nothing around it."""
    return lambda: nullcontext(operation)


def repeated(repetitions: Sequence[Repetition[Any]], *, rounds: int) -> dict[str, Timed]:
    """Throughput in alternating rounds, then one round of single timings each."""
    plain = contest(
        [
            Contestant(one.name, partial(throughput, one.session, one.arguments))
            for one in repetitions
        ],
        rounds=rounds,
    )
    single = {
        one.name: Series(one.name, [latencies(one.session, one.arguments)]).percentiles()
        for one in repetitions
    }
    return {name: Timed(series, single[name]) for name, series in plain.items()}


def throughput(
    session: Session[Argument], arguments: Sequence[Argument], *, weight: int = 1
) -> Round:
    """A round timed as a whole; each operation counts as `weight`."""
    start = perf_counter_ns()
    with session() as operation:
        for argument in arguments:
            operation(argument)
    return Round(len(arguments) * weight, perf_counter_ns() - start, [])


def latencies(session: Session[Argument], arguments: Sequence[Argument]) -> Round:
    """A round whose operations are timed one by one."""
    taken: list[int] = []
    note, clock = taken.append, perf_counter_ns
    start = clock()
    with session() as operation:
        for argument in arguments:
            before = clock()
            operation(argument)
            note(clock() - before)
    return Round(len(arguments), clock() - start, taken)


def threads_together(operation: Operation[bytes], shares: Sequence[Sequence[bytes]]) -> Round:
    """A round of one thread per share, all let go at once."""
    barrier = threading.Barrier(len(shares) + 1)
    taken: list[list[int]] = [[] for _ in shares]

    def work(share: Sequence[bytes], latencies_ns: list[int]) -> None:
        barrier.wait()
        for argument in share:
            before = perf_counter_ns()
            operation(argument)
            latencies_ns.append(perf_counter_ns() - before)

    workers = [threading.Thread(target=work, args=pair) for pair in zip(shares, taken, strict=True)]
    for worker in workers:
        worker.start()
    barrier.wait()
    start = perf_counter_ns()
    for worker in workers:
        worker.join()
    elapsed_ns = perf_counter_ns() - start
    return _all_done(elapsed_ns, shares, taken)


async def tasks_together(
    operation: Callable[[bytes], Awaitable[object]], shares: Sequence[Sequence[bytes]]
) -> Round:
    """A round of one task per share on the running loop."""
    taken: list[list[int]] = [[] for _ in shares]

    async def work(share: Sequence[bytes], latencies_ns: list[int]) -> None:
        for argument in share:
            before = perf_counter_ns()
            await operation(argument)
            latencies_ns.append(perf_counter_ns() - before)

    start = perf_counter_ns()
    async with asyncio.TaskGroup() as group:
        for share, latencies_ns in zip(shares, taken, strict=True):
            group.create_task(work(share, latencies_ns))
    return _all_done(perf_counter_ns() - start, shares, taken)


def _all_done(elapsed_ns: int, shares: Sequence[Sequence[bytes]], taken: list[list[int]]) -> Round:
    """A thread that died did less than its share: such a round must not count."""
    done = [one for latencies_ns in taken for one in latencies_ns]
    wanted = sum(len(share) for share in shares)
    if len(done) != wanted:
        raise RuntimeError(f"{len(done)} of {wanted} operations were done: see the errors above")
    return Round(wanted, elapsed_ns, done)


def dealt(arguments: Sequence[bytes], hands: int) -> list[Sequence[bytes]]:
    """The arguments dealt out to `hands` workers, as evenly as they go."""
    return [arguments[hand::hands] for hand in range(hands)]
