"""The definition of strict serializability, tried out: every order of a handful of transactions.

Slow and obviously right, to compare the checkers with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations, permutations

from fastness.testing import (
    Append,
    CompareAndSet,
    History,
    Key,
    Operation,
    Outcome,
    Read,
    Transaction,
    Value,
    Write,
)


def strictly_serializable(history: History) -> bool:
    """Whether some order of all acknowledged and any unknown transactions explains the reads."""
    return any(
        in_real_time(order) and explains(order)
        for subset in _possible(history)
        for order in permutations(subset)
    )


def _possible(history: History) -> Iterator[list[Transaction]]:
    """The sets of transactions that may have committed."""
    certain = [one for one in history if one.outcome is Outcome.OK]
    doubtful = [one for one in history if one.outcome is Outcome.UNKNOWN]
    subsets: Iterable[Sequence[Transaction]] = chain.from_iterable(
        combinations(doubtful, size) for size in range(len(doubtful) + 1)
    )
    for subset in subsets:
        yield [*certain, *subset]


def in_real_time(order: Sequence[Transaction]) -> bool:
    """Whether nothing stands before what was complete before it began."""
    return not any(
        later.outcome is Outcome.OK
        and later.completed is not None
        and later.completed < earlier.invoked
        for place, earlier in enumerate(order)
        for later in order[place + 1 :]
    )


def explains(order: Sequence[Transaction]) -> bool:
    """Whether running the transactions one by one gives every answer recorded."""
    state: dict[Key, Value] = {}
    return all(
        _step(state, operation, one.outcome) for one in order for operation in one.operations
    )


def _step(state: dict[Key, Value], operation: Operation, outcome: Outcome) -> bool:
    key = operation.key
    match operation:
        case Append(_, value):
            before = state.get(key) or ()
            state[key] = (*before, value) if isinstance(before, tuple) else (value,)
            return True
        case Write(_, value):
            state[key] = value
            return True
        case Read(_, value):
            return (state.get(key) or None) == (value or None)
        case CompareAndSet(_, expected, value, swapped):
            matches = state.get(key) == expected
            if matches and swapped is not False:
                state[key] = value
            return matches == swapped or (swapped is None and outcome is Outcome.UNKNOWN)
