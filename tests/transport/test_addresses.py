"""Addresses: what they say, and what is told about those that say nothing."""

from __future__ import annotations

import pytest

from fastness.errors import InvalidOption
from fastness.transport import (
    Place,
    TcpPlace,
    UnixPlace,
    client_address,
    is_client,
    is_seed,
    node_address,
    place_of,
    seed_of,
)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("localhost:1", TcpPlace("localhost", 1)),
        ("10.0.0.1:65535#00ff", TcpPlace("10.0.0.1", 65_535)),
        ("[::1]:0", TcpPlace("::1", 0)),
        ("unix:relative/path", UnixPlace("relative/path")),
        ("unix:/run/x.sock#00ff", UnixPlace("/run/x.sock")),
    ],
)
def test_a_place_is_read_as_it_is_shown(text: str, place: Place) -> None:
    """With or without an incarnation."""
    assert place_of(text) == place
    assert place_of(str(place)) == place
    assert str(place) == seed_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "host", "host:", ":1", "host:-1", "host:65536", "host:1x", "host:\u0661", "::1:1",
        "unix:", "unix:a\0b", "unix:" + "x" * 104, "client/00", "http://host:1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_shown_with_an_example(text: str) -> None:
    """The error names what is wrong with it."""
    with pytest.raises(InvalidOption, match=r"is no address|is not 0 to|has a path"):
        place_of(text)


def test_kinds_of_addresses_are_told_apart() -> None:
    """A seed names a place, a node's address one process there, a client's no place at all."""
    node = node_address(TcpPlace("::1", 1))
    client = client_address()
    assert (is_seed(node), is_client(node)) == (False, False)
    assert (is_seed(seed_of(node)), seed_of(node)) == (True, "[::1]:1")
    assert (is_seed(client), is_client(client)) == (False, True)
    assert client != client_address()
    with pytest.raises(InvalidOption, match="rename it"):
        node_address(UnixPlace("a#b"))
