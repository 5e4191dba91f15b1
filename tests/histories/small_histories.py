"""Random histories of a handful of transactions, right and wrong about equally often.

A serial execution is drawn, then read values, outcomes and times are disturbed. What comes out
need not have been produced by any database.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fastness.testing import (
    Append,
    CompareAndSet,
    History,
    Operation,
    Outcome,
    Read,
    Scalar,
    Transaction,
    Write,
)

Lists = dict[str, tuple[Scalar, ...]]
OUTCOMES = (Outcome.OK, Outcome.UNKNOWN, Outcome.FAILED)


def random_lists(random: Random) -> History:
    """Reads of, and appends to, two lists."""
    return _random_history(random, _list_operation)


def random_registers(random: Random) -> History:
    """Reads and unique writes of two registers."""
    return _random_history(random, _register_operation)


def random_single_register(random: Random) -> History:
    """One operation a transaction on one register, with few values."""
    transactions: list[tuple[Outcome, tuple[Operation, ...]]] = []
    for _ in range(random.randint(2, 6)):
        outcome = random.choices(OUTCOMES, (7, 2, 1))[0]
        transactions.append((outcome, (_single_operation(random, outcome),)))
    return _timed(random, transactions)


def _single_operation(random: Random, outcome: Outcome) -> Operation:
    found, value = random.choice((None, 1, 2)), random.choice((1, 2))
    kind = random.random()
    if kind < 0.45:
        return Read("x", found)
    if kind < 0.75:
        return Write("x", value)
    swapped = random.random() < 0.5 if outcome is Outcome.OK else None
    return CompareAndSet("x", found, value, swapped)


def _random_history(
    random: Random, operation: Callable[[Random, Lists, int, float], Operation]
) -> History:
    """A serial execution with disturbed reads; `state` keeps every value a key ever had."""
    disturbance = random.random() * 0.4
    state: Lists = {"x": (), "y": ()}
    transactions: list[tuple[Outcome, tuple[Operation, ...]]] = []
    value = 0
    for _ in range(random.randint(2, 5)):
        outcome = random.choices(OUTCOMES, (8, 2, 1))[0]
        before = dict(state)
        operations = []
        for _ in range(random.randint(1, 3)):
            value += 1
            operations.append(operation(random, state, value, disturbance))
        lost = outcome is Outcome.FAILED or (outcome is Outcome.UNKNOWN and random.random() < 0.5)
        if lost and random.random() < 0.9:
            state = before
        transactions.append((outcome, tuple(operations)))
    return _timed(random, transactions)


def _list_operation(random: Random, state: Lists, value: int, disturbance: float) -> Operation:
    key = random.choice("xy")
    if random.random() < 0.5:
        state[key] = (*state[key], value)
        return Append(key, value)
    seen = state[key]
    if random.random() < disturbance:
        seen = seen[: random.randint(0, len(seen))]
        if random.random() < 0.3:
            seen = tuple(random.sample(state[key], len(seen)))
    return Read(key, seen)


def _register_operation(random: Random, state: Lists, value: int, disturbance: float) -> Operation:
    key = random.choice("xy")
    if random.random() < 0.5:
        state[key] = (*state[key], value)
        return Write(key, value)
    seen: Scalar = state[key][-1] if state[key] else None
    if random.random() < disturbance:
        seen = random.choice((None, *state[key]))
    return Read(key, seen)


def _timed(random: Random, transactions: list[tuple[Outcome, tuple[Operation, ...]]]) -> History:
    """Give each transaction a process and times around its place, some far off it."""
    free: dict[int, int] = {}
    timed = []
    for place, (outcome, operations) in enumerate(transactions):
        process = place % 3 if random.random() < 0.5 else place
        near = 4 * place + random.randrange(14)
        invoked = near if random.random() < 0.8 else random.randrange(20)
        invoked = max(invoked, free.get(process, -1) + 1)
        completed = invoked + random.randrange(12)
        free[process] = completed
        timed.append(Transaction(0, process, invoked, completed, outcome, operations))
    return History.of(timed)
