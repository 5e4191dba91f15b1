"""Whether an embedded database may open what a server wrote.

An embedded database is one range of all keys without prepared transactions. A server that split
its range left several, and the halves of a transaction over them may be decided in one and not
yet applied in the other: only a server puts that right. So such a directory is refused.
"""

from __future__ import annotations

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import ForeignStore
from fastness.hosting.marks import PLACEMENT_MARK, placed_in
from fastness.placement.cluster_view import decode_descriptor
from fastness.placement.coordinator import RANGES
from fastness.ranges.shape import INTENT, VERDICT
from fastness.storage.contract import Store


def require_whole(store: Store, range_id: int) -> None:
    """`ForeignStore` unless the range holds every key, and nothing in it is undecided."""
    placed = placed_in(store.state(PLACEMENT_MARK))
    ranges = [decode_descriptor(data) for key, data in placed.items() if key.startswith(RANGES)]
    for found in ranges:
        if (found.range_id, found.begin, found.end) != (range_id, b"", SYSTEM_END):
            raise ForeignStore(
                f"a server left {len(ranges)} ranges in this database, one of them "
                f"{found.begin!r} to {found.end!r}: serve it, and merge them first"
            )
    undecided = [name for name in store.range_records(range_id) if name[:1] in (INTENT, VERDICT)]
    if undecided:
        raise ForeignStore(
            f"a server left {len(undecided)} transactions in this database that are not decided or "
            "not applied everywhere: serve it until they are"
        )
