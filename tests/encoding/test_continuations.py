"""Continuation tokens: they go on where their scan stopped, and serve no other scan."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding import continuations
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.tuples import pack, range_of
from fastness.errors import InvalidContinuation
from fastness.invariants import InvariantViolation
from tests.encoding.tuple_elements import THOROUGH

keys = st.binary(max_size=12)
FOLDER = range_of(("files", 7))
LAST = pack(("files", 7, "notes.txt"))


@st.composite
def pages(draw: st.DrawFn) -> tuple[KeyInterval, bool, bytes]:
    """A scan, its direction, and a last key inside its interval."""
    shared = draw(keys)
    begin, last, end = sorted(shared + draw(keys) for _ in range(3))
    scan = KeyInterval(begin, end if last < end else last + b"\x00")
    return scan, draw(st.booleans()), last


@given(pages())
@THOROUGH
def test_the_last_key_comes_back(page: tuple[KeyInterval, bool, bytes]) -> None:
    """Round trip, in bytes that may stand in a URL."""
    scan, reverse, last = page
    token = continuations.encode(scan, reverse, last)
    assert re.fullmatch(rb"[A-Za-z0-9_-]+", token)
    assert continuations.decode(token, scan, reverse) == last


@given(pages(), keys, keys)
@THOROUGH
def test_another_scan_is_refused(
    page: tuple[KeyInterval, bool, bytes], begin: bytes, end: bytes
) -> None:
    """A token serves its own interval in its own direction only."""
    scan, reverse, last = page
    token = continuations.encode(scan, reverse, last)
    others = {
        KeyInterval(begin, end),
        KeyInterval(begin, scan.end),
        KeyInterval(scan.begin, end),
        KeyInterval(scan.begin + scan.end[:1], scan.end[1:]),
    }
    with pytest.raises(InvalidContinuation, match="another interval or direction"):
        continuations.decode(token, scan, not reverse)
    for other in others - {scan}:
        with pytest.raises(InvalidContinuation, match="another interval or direction"):
            continuations.decode(token, other, reverse)


def test_every_damaged_character_is_noticed() -> None:
    """Each single character changed, dropped, doubled or added, and each cut."""
    token = continuations.encode(FOLDER, reverse=False, last_key=LAST)
    for at in range(len(token)):
        changed = [token[:at] + bytes((other,)) + token[at + 1 :] for other in range(256)]
        changed += [token[:at], token[:at] + token[at + 1 :], token[: at + 1] + token[at:]]
        changed += [token[:at] + b" " + token[at:], token[:at] + b"\n" + token[at:]]
        for damaged in set(changed) - {token}:
            with pytest.raises(InvalidContinuation):
                continuations.decode(damaged, FOLDER, reverse=False)
    for ending in (b"=", b"A", b"\n", token):
        with pytest.raises(InvalidContinuation):
            continuations.decode(token + ending, FOLDER, reverse=False)


@given(st.one_of(st.binary(max_size=60), st.text("ABQZaz09-_", max_size=40).map(str.encode)))
@THOROUGH
def test_foreign_bytes_are_refused(token: bytes) -> None:
    """Bytes that no scan gave out raise InvalidContinuation and nothing else."""
    with pytest.raises(InvalidContinuation, match="pass the continuation of the same scan"):
        continuations.decode(token, FOLDER, reverse=False)


@pytest.mark.parametrize("token", [None, "AbUO", bytearray(b"AbUO"), 5, LAST], ids=repr)
def test_what_is_no_token_is_refused(token: object) -> None:
    """Another type, or the bare key, is refused."""
    with pytest.raises(InvalidContinuation):
        continuations.decode(token, FOLDER, reverse=False)  # type: ignore[arg-type]  # the mistake


def test_the_form_is_fixed() -> None:
    """Tokens outlive the process that made them: their form changes only with the version."""
    token = continuations.encode(FOLDER, reverse=False, last_key=LAST)
    assert token == b"Aap6giZJ6SPwa-ynegJub3Rlcy50eHQA"


def test_another_version_says_so() -> None:
    """A token that begins with another version byte is not called damaged."""
    token = continuations.encode(FOLDER, reverse=False, last_key=LAST)
    with pytest.raises(InvalidContinuation, match="no token of version 1"):
        continuations.decode(b"Ag" + token[2:], FOLDER, reverse=False)


def test_a_token_does_not_repeat_the_prefix() -> None:
    """What begin and end share is not in the token, however long it is."""
    scan = range_of(("x" * 5000,))
    token = continuations.encode(scan, reverse=False, last_key=pack(("x" * 5000, 7)))
    assert len(token) < 24


def test_a_key_outside_the_scan_is_a_mistake_of_the_program() -> None:
    """Only keys that the scan can have returned are put into tokens."""
    with pytest.raises(InvariantViolation):
        continuations.encode(FOLDER, reverse=False, last_key=FOLDER.end)
