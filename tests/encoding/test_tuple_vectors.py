"""Packed tuples written out by hand from the specification, byte for byte."""

from __future__ import annotations

import math
import struct
from uuid import UUID

import pytest

from fastness.encoding.tuples import (
    SingleFloat,
    TupleElement,
    Versionstamp,
    pack,
    pack_with_versionstamp,
    unpack,
)
from tests.encoding.tuple_elements import places

Vector = tuple[tuple[TupleElement, ...], bytes]

SPECIFIED: list[Vector] = [
    ((b"foo\x00bar",), b"\x01foo\x00\xffbar\x00"),
    (("F\u00d4O\u0000bar",), b"\x02F\xc3\x94O\x00\xffbar\x00"),
    (((b"foo\x00bar", None, ()),), b"\x05\x01foo\x00\xffbar\x00\x00\xff\x05\x00\x00"),
    ((-5551212,), b"\x11\xabK\x93"),
    ((SingleFloat(-42.0),), b"\x20\x3d\xd7\xff\xff"),
    ((-1,), b"\x13\xfe"),
]
"""The test cases that the specification gives itself."""

WRITTEN: list[Vector] = [
    ((), b""),
    ((None,), b"\x00"),
    ((None, None), b"\x00\x00"),
    ((b"",), b"\x01\x00"),
    ((b"\x00",), b"\x01\x00\xff\x00"),
    ((b"\xff\x00",), b"\x01\xff\x00\xff\x00"),
    (("",), b"\x02\x00"),
    (("\U0001f600",), b"\x02\xf0\x9f\x98\x80\x00"),
    (("a", "b"), b"\x02a\x00\x02b\x00"),
    (((),), b"\x05\x00"),
    (((None,),), b"\x05\x00\xff\x00"),
    ((((),), None), b"\x05\x05\x00\x00\x00"),
    ((((None,), None), 1), b"\x05\x05\x00\xff\x00\x00\xff\x00\x15\x01"),
    ((0,), b"\x14"),
    ((1,), b"\x15\x01"),
    ((255,), b"\x15\xff"),
    ((256,), b"\x16\x01\x00"),
    ((65535,), b"\x16\xff\xff"),
    ((65536,), b"\x17\x01\x00\x00"),
    ((1 << 31,), b"\x18\x80\x00\x00\x00"),
    ((1 << 32,), b"\x19\x01\x00\x00\x00\x00"),
    ((1 << 40,), b"\x1a\x01\x00\x00\x00\x00\x00"),
    ((1 << 48,), b"\x1b\x01\x00\x00\x00\x00\x00\x00"),
    (((1 << 56) - 1,), b"\x1b\xff\xff\xff\xff\xff\xff\xff"),
    ((1 << 56,), b"\x1c\x01\x00\x00\x00\x00\x00\x00\x00"),
    (((1 << 63) - 1,), b"\x1c\x7f\xff\xff\xff\xff\xff\xff\xff"),
    (((1 << 64) - 1,), b"\x1c\xff\xff\xff\xff\xff\xff\xff\xff"),
    ((1 << 64,), b"\x1d\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
    (((1 << 2040) - 1,), b"\x1d\xff" + b"\xff" * 255),
    ((-255,), b"\x13\x00"),
    ((-256,), b"\x12\xfe\xff"),
    ((-65535,), b"\x12\x00\x00"),
    ((-65536,), b"\x11\xfe\xff\xff"),
    ((-(1 << 63),), b"\x0c\x7f\xff\xff\xff\xff\xff\xff\xff"),
    ((-(1 << 64) + 1,), b"\x0c\x00\x00\x00\x00\x00\x00\x00\x00"),
    ((-(1 << 64),), b"\x0b\xf6\xfe\xff\xff\xff\xff\xff\xff\xff\xff"),
    ((-(1 << 2040) + 1,), b"\x0b\x00" + b"\x00" * 255),
    ((SingleFloat(42.0),), b"\x20\xc2\x28\x00\x00"),
    ((SingleFloat(0.0),), b"\x20\x80\x00\x00\x00"),
    ((SingleFloat(-0.0),), b"\x20\x7f\xff\xff\xff"),
    ((0.0,), b"\x21\x80\x00\x00\x00\x00\x00\x00\x00"),
    ((-0.0,), b"\x21\x7f\xff\xff\xff\xff\xff\xff\xff"),
    ((1.5,), b"\x21\xbf\xf8\x00\x00\x00\x00\x00\x00"),
    ((-1.5,), b"\x21\x40\x07\xff\xff\xff\xff\xff\xff"),
    ((math.inf,), b"\x21\xff\xf0\x00\x00\x00\x00\x00\x00"),
    ((-math.inf,), b"\x21\x00\x0f\xff\xff\xff\xff\xff\xff"),
    (struct.unpack(">d", bytes.fromhex("7ff8000000000001")), b"\x21\xff\xf8\0\0\0\0\0\x01"),
    (
        struct.unpack(">d", bytes.fromhex("fff8000000000001")),
        b"\x21\x00\x07\xff\xff\xff\xff\xff\xfe",
    ),
    ((False, True), b"\x26\x27"),
    ((UUID(int=0x0102 << 112),), b"\x30\x01\x02" + b"\x00" * 14),
    ((Versionstamp(b"0123456789", 0x0102),), b"\x330123456789\x01\x02"),
]
"""Each type code and each change of length."""


@pytest.mark.parametrize(("elements", "packed"), SPECIFIED + WRITTEN)
def test_packed_as_specified(elements: tuple[TupleElement, ...], packed: bytes) -> None:
    """A tuple packs to these bytes, and they unpack to that tuple."""
    assert pack(elements) == packed
    assert places(unpack(packed)) == places(elements)


def test_an_incomplete_stamp_is_ten_bytes_of_0xff() -> None:
    """Bytes that hold the placeholder of a stamp unpack to an incomplete one."""
    assert unpack(b"\x33" + b"\xff" * 10 + b"\x00\x07") == (Versionstamp(None, 7),)


def test_a_stamped_key_leaves_out_just_the_transaction() -> None:
    """The prefix ends at the ten bytes of the commit, the suffix begins behind them."""
    packed = pack_with_versionstamp(("a", Versionstamp(user=0x0102), 5))
    assert packed == (b"\x02a\x00\x33", b"\x01\x02\x15\x05")
