r"""Keys and values as texts: every byte string has one that reads back to the same bytes."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastness.cli.notation import parsed, shown, shown_value
from fastness.encoding.elements import SingleFloat, TupleElement, Versionstamp
from fastness.encoding.tuples import pack
from fastness.errors import FastnessError, InvalidEncoding

elements: st.SearchStrategy[TupleElement] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 200), 1 << 200),
        st.floats(),
        st.text(max_size=10),
        st.binary(max_size=10),
        st.uuids(),
        st.floats(width=32).map(SingleFloat),
        st.builds(Versionstamp, st.binary(min_size=10, max_size=10).filter(lambda b: b[0] < 255)),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(st.binary(max_size=60))
@example(b"")
@example(b"-x")
@example(b"hex:ff")
@example(b'"quoted"')
@example(b" padded ")
@example(b"two\nlines")
@example("größe ☃".encode())
def test_any_bytes_survive(data: bytes) -> None:
    """What is shown reads back to the same bytes, for keys and for values."""
    assert parsed(shown(data)) == data
    assert parsed(shown_value(data)) == data
    assert shown(data).isprintable()


@given(st.lists(elements, max_size=4).map(tuple))
@example(("users", 42, None, True, 1.5, b"\x00", ("nested", ()), UUID(int=7)))
def test_any_tuple_survives(key: tuple[TupleElement, ...]) -> None:
    """A packed tuple is shown as something that packs to the same key."""
    assert parsed(shown(pack(key))) == pack(key)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("greeting", b"greeting"),
        ("größe", "größe".encode()),
        ('"a\\nb"', b"a\nb"),
        ('"hex:ff"', b"hex:ff"),
        ("hex:00 ff", b"\x00\xff"),
        ("base64:AP8=", b"\x00\xff"),
        ("counter:-1", b"\xff" * 8),
        ('("users", 42)', pack(("users", 42))),
        ("('users',42,)", pack(("users", 42))),
        ('("users")', pack(("users",))),
        ("()", pack(())),
        ("(null, true, -inf, -3)", pack((None, True, float("-inf"), -3))),
        ('(UUID("00000000-0000-0000-0000-000000000007"), Float32(0.5))',
         pack((UUID(int=7), SingleFloat(0.5)))),
        ("mailto:ann", b"mailto:ann"),
        ("caf\udce9", b"caf\xe9"),
    ],
)  # fmt: skip
def test_notation(text: str, data: bytes) -> None:
    """Each form of the notation means the bytes the manual says."""
    assert parsed(text) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"greeting", "greeting"),
        (b"", '""'),
        (b"-1", '"-1"'),
        (b"a\tb", '"a\\tb"'),
        (pack(("users", 42)), '("users", 42)'),
        (pack(('it\'s "x"\\',)), '("it\'s \\"x\\"\\\\",)'),
        (b"\x1b[31m", "hex:1b5b33316d"),
        (b"\xff\x01", "hex:ff01"),
    ],
)
def test_shown(data: bytes, text: str) -> None:
    """The most readable form is chosen, and none can talk to the terminal."""
    assert shown(data) == text


@pytest.mark.parametrize(
    "text",
    [
        "hex:0",
        "hex:zz",
        "base64:!",
        "counter:many",
        '"open',
        '"a" + "b"',
        "(",
        "(1",
        "(users, 42)",
        "(__import__('os'),)",
        "([1],)",
        "(1+2,)",
        "(1j,)",
        "(...,)",
        "(UUID('x'),)",
        "(Versionstamp('00'),)",
        "(-'a',)",
        '("\\d",)',
        '("\\ud800",)',
        "(" * 500,
        "(" * 50_000,
        f"({'9' * 5_000},)",
    ],
)
def test_bad_notation(text: str) -> None:
    """What cannot be read is refused with a typed error that shows it."""
    with pytest.raises(FastnessError):
        parsed(text)


def test_bad_notation_shows_the_way_out() -> None:
    """The message says how to write a text that merely looks like a prefix."""
    with pytest.raises(InvalidEncoding, match=r'quote it: "hex:zz"'):
        parsed("hex:zz")
