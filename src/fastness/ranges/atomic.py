"""Atomic operations: changes to a value that need no read by the client.

The leaseholder evaluates them when their batch closes, in the order the transactions joined
it, so any number of clients may add to one hot counter without a conflict (CONSISTENCY,
section 1.3). Numbers are 8-byte little-endian signed integers (`encoding.counters`).

An operation that cannot be evaluated (a counter that would overflow, a value that is not a
counter, one that would grow too large) fails its whole transaction, nobody else's.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from fastness.encoding.counters import decode, encode
from fastness.errors import LimitExceeded


class AtomicKind(IntEnum):
    """What an atomic operation does with the value it finds."""

    ADD = 1
    MIN = 2
    MAX = 3
    APPEND = 4
    COMPARE_AND_CLEAR = 5


class AtomicOperation(NamedTuple):
    """One operation with its operand: a packed counter, or bytes."""

    kind: AtomicKind
    operand: bytes


def evaluate(operation: AtomicOperation, found: bytes | None, value_bytes: int) -> bytes | None:
    """The value after `operation` on `found` (`None`: absent). At most `value_bytes` long.

    Raises `InvalidEncoding` where a counter is expected and `found` is none, `LimitExceeded`
    where the result does not fit.
    """
    kind, operand = operation
    if kind is AtomicKind.COMPARE_AND_CLEAR:
        return None if found == operand else found
    if found is None:
        return operand
    if kind is AtomicKind.APPEND:
        if len(found) + len(operand) > value_bytes:
            raise LimitExceeded(
                f"append of {len(operand)} bytes to a value of {len(found)} exceeds "
                f"value_bytes={value_bytes}: split the value over several keys"
            )
        return found + operand
    amount = decode(operand)
    current = decode(found)
    if kind is AtomicKind.ADD:
        return encode(current + amount)
    return encode(min(current, amount) if kind is AtomicKind.MIN else max(current, amount))
