"""What a node of a cluster is told of itself and of stores, as text: checked, and taken apart."""

from __future__ import annotations

from collections.abc import Iterable

from fastness.errors import InvalidOption
from fastness.placement.membership import StoreRecord, require_name
from fastness.transport.addresses import PORT_MAX, Place, TcpPlace, place_of


def own_stores(texts: Iterable[str]) -> dict[str, StoreRecord]:
    """Stores written as NAME=URL, by name; the errors show no URL, which may hold a password."""
    found: dict[str, StoreRecord] = {}
    for text in texts:
        name, separator, url = text.partition("=")
        if not separator or "://" in name or "://" not in url:
            raise InvalidOption(
                f"store {name.partition('://')[0]!r} is not written NAME=URL: write it as in "
                "main=postgresql://HOST:PORT/DATABASE"
            )
        require_name(name, "store")
        if name in found:
            raise InvalidOption(f"store {name!r} is given twice: leave one of them out")
        found[name] = StoreRecord(name, url)
    return found


def advertised(text: str, listening: Place) -> Place:
    """Where others reach a node that listens there, as HOST[:PORT] says; empty: there."""
    if not text:
        return listening
    if not isinstance(listening, TcpPlace):
        raise InvalidOption(
            f"{text!r} is advertised, and nothing listens over TCP: name a HOST:PORT to listen at"
        )
    bare = ":" not in text or text.endswith("]")
    place = place_of(f"{text}:{listening.port}" if bare else text)
    if not isinstance(place, TcpPlace) or not 0 < place.port <= PORT_MAX:
        raise InvalidOption(
            f"{text!r} is nothing to dial: write HOST or HOST:PORT with a port others can reach"
        )
    return place
