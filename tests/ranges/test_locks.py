"""The lock table holds itself to what every caller of it promises."""

from __future__ import annotations

import pytest

from fastness.invariants import InvariantViolation
from fastness.ranges.identity import transaction_id
from fastness.ranges.intents import Intent
from fastness.ranges.locks import Holder, LockTable
from fastness.ranges.requests import Write


def holder() -> Holder:
    """A prepared transaction that writes one key."""
    intent = Intent(
        id=transaction_id(birth=1, nonce=1, anchor=b"a"),
        priority=1,
        deadline=9,
        floor=2,
        span=(b"", b"\xff"),
        alive_until=0,
        read_keys=[],
        read_intervals=[],
        writes=[Write(b"a", b"1")],
        erased=[],
        stamped_keys=[],
        stamped_values={},
        write_keys=[b"a"],
        write_intervals=[],
    )
    return Holder(intent, durable=True)


def test_locks_are_dropped_once() -> None:
    """A transaction that is settled twice is a mistake that is told, not one of a dictionary."""
    table, held = LockTable(), holder()
    table.add(held)
    table.remove(held)
    assert len(table) == 0
    with pytest.raises(InvariantViolation, match="settled twice"):
        table.remove(held)


def test_nobody_drops_the_locks_of_another() -> None:
    """Not even one of the same id, as a transaction that was prepared again would be."""
    table = LockTable()
    table.add(holder())
    with pytest.raises(InvariantViolation, match="settled twice"):
        table.remove(holder())
