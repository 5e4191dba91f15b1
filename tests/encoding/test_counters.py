"""Counters: 64-bit values, and refusals of everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding import counters
from fastness.errors import InvalidEncoding, InvalidValue, LimitExceeded


@given(st.integers(counters.COUNTER_MIN, counters.COUNTER_MAX))
def test_what_is_stored_comes_back(value: int) -> None:
    """Round trip of every value that fits, in eight bytes."""
    stored = counters.encode(value)
    assert len(stored) == counters.COUNTER_BYTES
    assert counters.decode(stored) == value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (0, "0000000000000000"),
        (1, "0100000000000000"),
        (-1, "ffffffffffffffff"),
        (256, "0001000000000000"),
        (counters.COUNTER_MAX, "ffffffffffffff7f"),
        (counters.COUNTER_MIN, "0000000000000080"),
    ],
)
def test_written_by_hand(value: int, stored: str) -> None:
    """Little-endian, two's complement."""
    assert counters.encode(value).hex() == stored


@given(st.binary(max_size=20))
def test_any_bytes_are_refused_or_read(stored: bytes) -> None:
    """Eight bytes are a counter, any other number is not."""
    if len(stored) == counters.COUNTER_BYTES:
        assert counters.encode(counters.decode(stored)) == stored
        return
    with pytest.raises(InvalidEncoding, match="8 bytes"):
        counters.decode(stored)


@pytest.mark.parametrize("stored", [None, "12345678", bytearray(8), 5, [1]], ids=repr)
def test_only_bytes_are_decoded(stored: object) -> None:
    """Anything but bytes is refused."""
    with pytest.raises(InvalidEncoding, match="8 bytes"):
        counters.decode(stored)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("value", [None, 1.0, "1", True, b"1"], ids=repr)
def test_a_counter_is_an_int(value: object) -> None:
    """Another type is refused, a bool among them."""
    with pytest.raises(InvalidValue, match="is not an int"):
        counters.encode(value)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize(
    "value",
    [counters.COUNTER_MAX + 1, counters.COUNTER_MIN - 1, 1 << 50_000],
    ids=["above", "below", "huge"],
)
def test_a_counter_does_not_wrap_around(value: int) -> None:
    """A value beyond 64 bits is refused, in a message of readable length."""
    with pytest.raises(LimitExceeded, match="does not fit 8 bytes") as refusal:
        counters.encode(value)
    assert len(str(refusal.value)) < 400
