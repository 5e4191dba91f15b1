"""A transaction's id: its birth, a random number, and its anchor key, in one byte string.

::

    birth (8 bytes)   nonce (8 bytes)   anchor key

The birth is the newest oracle timestamp the client held when it first sent the commit: a range
that has forgotten outcomes up to its outcome horizon can tell that an unknown id may be one of
those. The anchor is the first key written, fixed with the id, so that every resend and every
participant finds the one place where the transaction is decided (CONSISTENCY, section 1.5).
"""

from __future__ import annotations

from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import InvalidEncoding

TransactionId = bytes

_HEAD_BYTES = 16


def transaction_id(*, birth: Timestamp, nonce: int, anchor: bytes) -> TransactionId:
    """The id of a transaction born at `birth`; `nonce` is 64 random bits."""
    return birth.to_bytes(8, "big") + nonce.to_bytes(8, "big") + anchor


def birth_of(identity: TransactionId) -> Timestamp:
    """When the transaction's commit was first sent."""
    return int.from_bytes(identity[:8], "big")


def head_of(identity: TransactionId) -> int:
    """Birth and nonce as one number, which takes less memory than the id."""
    return int.from_bytes(identity[:_HEAD_BYTES], "big")


def anchor_of(identity: TransactionId) -> bytes:
    """The key whose range decides the transaction."""
    return identity[_HEAD_BYTES:]


def check_id(identity: TransactionId) -> TransactionId:
    """The id itself; `InvalidEncoding` for bytes that are none."""
    if len(identity) < _HEAD_BYTES or birth_of(identity) > TIMESTAMP_MAX:
        raise InvalidEncoding(
            f"transaction id {identity[:40]!r} is not a birth timestamp, a nonce and an anchor key"
        )
    return identity


def shown(identity: TransactionId) -> str:
    """A short name for messages and traces."""
    return f"{identity[8:12].hex()}@{anchor_of(identity)[:24]!r}"
