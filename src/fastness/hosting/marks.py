"""The marks a database keeps in its store, embedded or served, and the range it begins with.

::

    oracle.ceiling    nothing at or above it was issued (8 bytes, big-endian)
    placement         of a server: its range map and the like, a msgpack map of strings to bytes
    caches.lease_ms   of a server: how long cache leases last that may be running (8 bytes)
"""

from __future__ import annotations

import msgspec

from fastness.errors import StoreDamaged

CEILING_MARK = "oracle.ceiling"
PLACEMENT_MARK = "placement"
CACHES_MARK = "caches.lease_ms"

RANGE_ID = 1
"""The range of all keys that a new database has."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, bytes]).decode


def placement_mark(entries: dict[str, bytes]) -> bytes:
    """The `placement` mark of these entries."""
    return _encode(entries)


def placed_in(mark: bytes | None) -> dict[str, bytes]:
    """The entries of a `placement` mark; none where there is no mark."""
    if mark is None:
        return {}
    try:
        return _decode(mark)
    except msgspec.DecodeError as error:
        raise StoreDamaged(
            f"the store's {PLACEMENT_MARK!r} mark cannot be read ({error}): restore a backup"
        ) from error
