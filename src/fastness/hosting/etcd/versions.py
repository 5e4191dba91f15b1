"""Which versions of etcd are safe to keep leases and a range map in.

Run here: 3.4.23 and 3.5.1 (the latter as throw-away only). Versions from 3.5.6 on are taken, as
their API is the same, but were not run.
"""

from __future__ import annotations

import re

from fastness.errors import ProtocolMismatch

OLDEST = (3, 4, 0)
"""Before it the JSON gateway stood under other paths."""

LOSES_WRITES = ((3, 5, 0), (3, 5, 5))
"""A crash at the wrong moment can leave a member without writes that were acknowledged, while it
believes to have them (etcd's notice of data inconsistency in 3.5, fixed in 3.5.6)."""

NEXT_MAJOR = (4, 0, 0)


def may_lose_writes(version: str) -> bool:
    """Whether a crash can make this version lose acknowledged writes."""
    first, last = LOSES_WRITES
    return first <= _number(version) <= last


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else (0, 0, 0)


def require_usable(version: str, place: object, *, throwaway: bool) -> None:
    """`ProtocolMismatch` for a member whose version is too old, too new, or loses writes."""
    if not OLDEST <= _number(version) < NEXT_MAJOR:
        raise ProtocolMismatch(
            f"{place} is etcd {version!r}: run 3.4, or 3.5 from 3.5.6 on, or a newer 3"
        )
    if may_lose_writes(version) and not throwaway:
        raise ProtocolMismatch(
            f"{place} is etcd {version}: 3.5.0 to 3.5.5 can lose acknowledged writes when they "
            "crash; upgrade it to 3.5.6 or newer, or say throwaway=on in the URL where everything "
            "in this cluster may be lost"
        )
