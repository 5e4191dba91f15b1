"""Frames in a stream: every way to cut it gives the same frames, and too long ones are refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastness.errors import LimitExceeded
from fastness.transport.framing import (
    HEADER_BYTES,
    LENGTH_MAX,
    FrameSplitter,
    control_frame,
    message_frame,
)

Cuts = st.lists(st.integers(0, 400), max_size=40)
Payloads = st.lists(st.tuples(st.booleans(), st.binary(max_size=60)), max_size=8)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """A stream in pieces, cut at these places."""
    edges = [0, *sorted({place for place in places if place < len(stream)}), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(edges)]


@given(Payloads, Cuts)
@example([(True, b""), (False, b"")], [1, 2, 3, 4, 5, 6, 7])
def test_every_cut_gives_the_same_frames(
    payloads: list[tuple[bool, bytes]], cuts: list[int]
) -> None:
    """In order, whole, each once; nothing is left over at the end of the last."""
    stream = b"".join(
        control_frame(data) if control else message_frame(data) for control, data in payloads
    )
    found: list[tuple[bool, bytes]] = []
    splitter = FrameSplitter(60, lambda payload: found.append((True, payload)))
    for piece in cut(stream, cuts):
        found += [(False, message) for message in splitter.feed(piece)]
    assert [one for one in found if one[0]] == [one for one in payloads if one[0]]
    assert [one for one in found if not one[0]] == [one for one in payloads if not one[0]]
    assert not splitter.is_amid


@given(st.binary(max_size=50), st.integers(0, 53))
def test_a_stream_that_ends_early_is_amid(payload: bytes, size: int) -> None:
    """Unless it ends between two frames; nothing of the unfinished one is told."""
    stream = message_frame(payload)[:size]
    splitter = FrameSplitter(60, lambda _payload: None)
    found = splitter.feed(stream)
    whole = size >= HEADER_BYTES + len(payload)
    assert found == ([payload] if whole else [])
    assert splitter.is_amid == (len(stream) > 0 and not whole)


@pytest.mark.parametrize("cuts", [[], [1], [1, 3]])
@pytest.mark.parametrize("length", [61, 1 << 20, LENGTH_MAX])
def test_a_length_beyond_the_limit_is_refused_at_once(length: int, cuts: list[int]) -> None:
    """Whatever it says of the frame; nothing is collected for it."""
    splitter = FrameSplitter(60, lambda _payload: None)
    pieces = cut(length.to_bytes(4, "big"), cuts)
    for piece in pieces[:-1]:
        assert splitter.feed(piece) == []
    with pytest.raises(LimitExceeded, match=f"frame of {length} bytes exceeds the 60"):
        splitter.feed(pieces[-1])


def test_a_limit_may_rise_on_the_way() -> None:
    """As it does when a handshake ends in the middle of what was fed."""
    splitter = FrameSplitter(4, lambda _payload: None)

    def opened(_payload: bytes) -> None:
        splitter.frame_bytes_max = 100

    splitter = FrameSplitter(4, opened)
    assert splitter.feed(control_frame(b"open") + message_frame(b"x" * 100)) == [b"x" * 100]


def test_a_large_frame_in_small_pieces_costs_no_more_than_its_size() -> None:
    """What has arrived is not copied again for every piece."""
    payload = bytes(range(256)) * 40_000
    stream = message_frame(payload)
    splitter = FrameSplitter(len(payload), lambda _payload: None)
    found: list[bytes] = []
    for begin in range(0, len(stream), 1_000):
        found += splitter.feed(stream[begin : begin + 1_000])
    assert found == [payload]
