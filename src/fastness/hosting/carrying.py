"""Versions carried from one store to another: what is asked of a store that answers at once."""

from __future__ import annotations

from fastness.encoding.intervals import KeyInterval
from fastness.hosting.remote import StorePortion, StoreSelection
from fastness.storage.contract import Selection, Store


def portion_in(store: Store, request: StoreSelection) -> StorePortion:
    """The versions a store that answers at once has of a selection."""
    wanted = Selection(
        KeyInterval(*request.interval),
        request.up_to,
        request.after,
        request.horizon,
        request.bytes_max,
    )
    keys, rest = store.versions(request.range_id, wanted)
    return StorePortion(keys, rest, store.range_number(request.range_id))
