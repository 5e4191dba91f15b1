"""The two element types of tuple keys that Python has no type of its own for.

`Versionstamp` (96 bits, type code 0x33) and `SingleFloat` (32 bits, type code 0x20). Both
are immutable, hashable, and ordered as their packed bytes are. `TupleElement` names
everything a tuple key may hold.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import total_ordering
from typing import ClassVar, TypeAlias
from uuid import UUID

from fastness.errors import InvalidKey

TRANSACTION_BYTES = 10
USER_MAX = 0xFFFF

_UNKNOWN_TRANSACTION = b"\xff" * TRANSACTION_BYTES
_single = struct.Struct(">f")


@total_ordering
@dataclass(frozen=True, slots=True)
class Versionstamp:
    """A place in the commit order: ten bytes of a transaction, then two of the user's.

    `transaction` is `None` while the stamp is incomplete, that is, until the commit that
    fills it in; `user` (0 to 65535) orders several stamps of one transaction. Ten 0xff
    bytes are never issued: they stand for the unknown transaction in the packed form, so
    that an incomplete stamp sorts after every complete one.
    """

    BYTES: ClassVar[int] = TRANSACTION_BYTES + 2

    transaction: bytes | None = None
    user: int = 0

    def __post_init__(self) -> None:
        transaction = self.transaction
        if transaction is not None and (
            type(transaction) is not bytes
            or len(transaction) != TRANSACTION_BYTES
            or transaction == _UNKNOWN_TRANSACTION
        ):
            raise InvalidKey(
                f"versionstamp transaction {transaction!r} is not {TRANSACTION_BYTES} bytes below "
                "0xff...ff; give None for a stamp that the commit completes"
            )
        if type(self.user) is not int or not 0 <= self.user <= USER_MAX:
            raise InvalidKey(f"versionstamp user part {self.user!r} is not in 0..{USER_MAX}")

    @classmethod
    def from_bytes(cls, packed: bytes) -> Versionstamp:
        """The stamp of twelve bytes; ten leading 0xff bytes give an incomplete one."""
        if type(packed) is not bytes or len(packed) != cls.BYTES:
            raise InvalidKey(f"{packed!r} is not a versionstamp of {cls.BYTES} bytes")
        transaction = packed[:TRANSACTION_BYTES]
        user = int.from_bytes(packed[TRANSACTION_BYTES:], "big")
        return cls(None if transaction == _UNKNOWN_TRANSACTION else transaction, user)

    @property
    def is_complete(self) -> bool:
        """Whether the transaction is known."""
        return self.transaction is not None

    def completed(self, transaction: bytes) -> Versionstamp:
        """This stamp with its transaction filled in."""
        return Versionstamp(transaction, self.user)

    def to_bytes(self) -> bytes:
        """The twelve bytes of the stamp, ten of them 0xff while it is incomplete."""
        return (self.transaction or _UNKNOWN_TRANSACTION) + self.user.to_bytes(2, "big")

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Versionstamp):
            return NotImplemented
        return self.to_bytes() < other.to_bytes()


@total_ordering
@dataclass(frozen=True, slots=True, init=False, repr=False)
class SingleFloat:
    """A floating point number of single precision: another type than `float` in a key.

    Kept as its IEEE 754 bits, so that every bit pattern (NaN payloads and -0.0 included)
    survives packing. Equality and order are those of the bits in IEEE's total order, not
    those of arithmetic: `SingleFloat(nan) == SingleFloat(nan)`, and -0.0 < 0.0.
    """

    representation: bytes
    """Four bytes, IEEE 754 binary32, big-endian."""

    def __init__(self, value: float) -> None:
        """Round `value` to single precision; `InvalidKey` where it is too large for it."""
        try:
            representation = _single.pack(value)
        except (OverflowError, struct.error) as cause:
            raise InvalidKey(
                f"{value!r} does not fit a float of single precision; use a float instead"
            ) from cause
        object.__setattr__(self, "representation", representation)

    @classmethod
    def from_bytes(cls, representation: bytes) -> SingleFloat:
        """The number with these four bytes as its IEEE representation."""
        if type(representation) is not bytes or len(representation) != _single.size:
            raise InvalidKey(f"{representation!r} is not a float of single precision in 4 bytes")
        number = cls.__new__(cls)
        object.__setattr__(number, "representation", representation)
        return number

    def __float__(self) -> float:
        value: float = _single.unpack(self.representation)[0]
        return value

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, SingleFloat):
            return NotImplemented
        return ordered_bits(self.representation) < ordered_bits(other.representation)

    def __repr__(self) -> str:
        return f"SingleFloat({float(self)!r})"


TupleElement: TypeAlias = (
    "bytes | str | int | float | bool | UUID | SingleFloat | Versionstamp"
    " | tuple[TupleElement, ...] | None"
)
"""What a tuple key may hold. Subclasses are packed as their base: an `IntEnum` as an int."""

_COMPLEMENT = bytes(range(255, -1, -1))


def complement(data: bytes) -> bytes:
    """Each byte subtracted from 255: the order of equally long strings is reversed."""
    return data.translate(_COMPLEMENT)


def ordered_bits(representation: bytes) -> bytes:
    """IEEE bits, big-endian, turned so that their byte order is IEEE's total order."""
    if representation[0] & 0x80:
        return complement(representation)
    return bytes((representation[0] | 0x80,)) + representation[1:]


def unordered_bits(ordered: bytes) -> bytes:
    """The inverse of `ordered_bits`."""
    if ordered[0] & 0x80:
        return bytes((ordered[0] & 0x7F,)) + ordered[1:]
    return complement(ordered)
