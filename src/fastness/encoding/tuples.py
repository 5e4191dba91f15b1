"""Tuple keys: tuples of typed elements packed into byte strings that sort as they do.

The encoding is FoundationDB's tuple layer, byte for byte (its specification is
`design/tuple.md` of that project; `docs/KEYS.md` lists the type codes). Two packed tuples
compare as byte strings exactly as the tuples compare element by element, a tuple before
its extensions, where elements compare

* by type first: `None` < bytes < str < nested tuple < int < `SingleFloat` < float < bool
  < UUID < `Versionstamp`. So 1 and 1.0 are different keys, and every int is below every float;
* bytes and str bytewise (str by UTF-8, which is by code point), ints by value, `False`
  before `True`, nested tuples by these rules again;
* floats in IEEE 754's total order: negative NaNs, -inf, ..., -0.0, 0.0, ..., inf, NaNs.
  So -0.0 and 0.0 are different keys, and a NaN has one place per bit pattern.

Limits: integers of up to 255 bytes, nesting up to 100 deep. Packing does not look at the
size of the key; the transaction that uses it does.
"""

from __future__ import annotations

from typing import NamedTuple

from fastness.encoding._messages import shown
from fastness.encoding._packing import (
    DEPTH_MAX,
    ENCODERS,
    INTEGER_BYTES_MAX,
    Encoder,
    pack_element,
    require_depth,
)
from fastness.encoding._unpacking import DECODERS, refuse, require_bytes, unpack_all
from fastness.encoding.elements import (
    TRANSACTION_BYTES,
    SingleFloat,
    TupleElement,
    Versionstamp,
)
from fastness.encoding.intervals import KeyInterval
from fastness.errors import InvalidKey

__all__ = [
    "DEPTH_MAX",
    "ENCODERS",
    "INTEGER_BYTES_MAX",
    "Encoder",
    "SingleFloat",
    "TupleElement",
    "Versionstamp",
    "VersionstampedKey",
    "pack",
    "pack_element",
    "pack_with_versionstamp",
    "range_of",
    "unpack",
    "unpack_element",
]


def pack(elements: tuple[TupleElement, ...]) -> bytes:
    """The key of a tuple; `InvalidKey` for an element no key can hold."""
    if type(elements) is not tuple:
        _require_tuple(elements)
    try:
        return b"".join([ENCODERS[type(element)](element) for element in elements])
    except KeyError:
        # A subclass of an element type, or a type no key can hold.
        return b"".join([pack_element(element) for element in elements])


def _require_tuple(elements: object) -> None:
    """Refuse a lone element: a string would otherwise be packed letter by letter."""
    if not isinstance(elements, tuple):
        raise InvalidKey(
            f"{shown(elements)} is not a tuple; for a key of one element write (element,)"
        )


def unpack(key: bytes, offset: int = 0) -> tuple[TupleElement, ...]:
    """The tuple packed in `key` from `offset` on; `InvalidEncoding` if it is not one.

    Strict: only what `pack` writes is accepted, so `pack(unpack(key)) == key`.
    """
    require_bytes(key)
    return unpack_all(key, offset, DECODERS)


def unpack_element(key: bytes, offset: int = 0) -> tuple[TupleElement, int]:
    """The element whose type code stands at `offset`, and the offset behind it."""
    require_bytes(key)
    if not 0 <= offset < len(key):
        refuse(key, offset, "the key ends where an element should begin")
    return DECODERS[key[offset]](key, offset)


def range_of(elements: tuple[TupleElement, ...]) -> KeyInterval:
    """All keys of tuples that extend `elements` by at least one element."""
    prefix = pack(elements)
    return KeyInterval(prefix + b"\x00", prefix + b"\xff")


class VersionstampedKey(NamedTuple):
    """A key around ten bytes that only the commit knows: prefix + transaction + suffix.

    What `set_versionstamped_key(prefix, value, suffix)` takes.
    """

    prefix: bytes
    suffix: bytes

    def completed(self, transaction: bytes) -> bytes:
        """The key once the ten bytes of the transaction are known."""
        if type(transaction) is not bytes or len(transaction) != TRANSACTION_BYTES:
            raise InvalidKey(f"{shown(transaction)} is not {TRANSACTION_BYTES} bytes of a stamp")
        return self.prefix + transaction + self.suffix


def pack_with_versionstamp(elements: tuple[TupleElement, ...]) -> VersionstampedKey:
    """The key of a tuple that holds exactly one incomplete `Versionstamp`, at any depth.

    `InvalidKey` when it holds none or several.
    """
    _require_tuple(elements)
    places: list[Versionstamp] = []
    _incomplete(elements, places, depth=0)
    if len(places) != 1:
        raise InvalidKey(
            f"{shown(elements)} holds {len(places)} incomplete versionstamps instead of one; "
            "pack() takes keys without any, and a commit fills in one"
        )
    # Two fillings that differ in every byte: the key differs exactly where the stamp goes.
    low, high = (pack(_filled(elements, fill * TRANSACTION_BYTES)) for fill in (b"\x00", b"\xfe"))
    begin = next(at for at in range(len(low)) if low[at] != high[at])
    return VersionstampedKey(low[:begin], low[begin + TRANSACTION_BYTES :])


def _incomplete(
    elements: tuple[TupleElement, ...], found: list[Versionstamp], *, depth: int
) -> None:
    """Collect the incomplete stamps of a tuple, nested ones too."""
    require_depth(depth)
    for element in elements:
        if isinstance(element, Versionstamp) and not element.is_complete:
            found.append(element)
        elif isinstance(element, tuple):
            _incomplete(element, found, depth=depth + 1)


def _filled(elements: tuple[TupleElement, ...], transaction: bytes) -> tuple[TupleElement, ...]:
    """The tuple with its incomplete stamp completed."""
    return tuple(
        element.completed(transaction)
        if isinstance(element, Versionstamp) and not element.is_complete
        else _filled(element, transaction)
        if isinstance(element, tuple)
        else element
        for element in elements
    )
