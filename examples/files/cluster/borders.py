"""Where the keys of a space begin, so that a range can begin there.

All records, entries and counters of one space lie together (`partition` in `schema`), behind the
number of their area and the space: docs/KEYS.md has the keys of records. Numbers are given out in
the order of the schema: `User` gets 1, and the area of `Space` is next.
"""

from __future__ import annotations

import fastness
from examples.files.schema import SpaceId

RECORDS = b"\xff\x01"
AREA = 2


def begin_of(space: SpaceId) -> bytes:
    """The first key of a space."""
    return RECORDS + fastness.pack((AREA, space))
