"""File names as text and back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples.files.demo.names import name_of, text_of


@given(st.binary(max_size=255))
@example(b"\\xff")
@example(b"\xff\\x41\xc3")
@example(b"\xed\xa0\x80")
def test_every_name_survives(name: bytes) -> None:
    """A name of any bytes becomes text that UTF-8 can hold, and comes back from it."""
    text = text_of(name)
    text.encode("utf-8")
    assert name_of(text) == name


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_different_names_stay_different(one: bytes, other: bytes) -> None:
    """No two names become the same text."""
    assert (text_of(one) == text_of(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "text"),
    [(b"plan.txt", "plan.txt"), ("źdź".encode(), "źdź"), (b"a\xff", "a\\xff"), (b"\\", "\\\\")],
)
def test_names_read_well(name: bytes, text: str) -> None:
    """Text stays itself; only bytes that are no text, and backslashes, are escaped."""
    assert text_of(name) == text
