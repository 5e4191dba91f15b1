"""Reading through a whole table, also one that is spread over partitions."""

from __future__ import annotations

from fastness.encoding.intervals import successor
from fastness.model.layout import AFTER, Place
from fastness.transactions import AsyncKeyValueTransaction

Entry = tuple[bytes, bytes]

_FORWARD = False


async def next_records(
    tx: AsyncKeyValueTransaction,
    place: Place,
    begin: bytes,
    limit: int,
    *,
    snapshot: bool = False,
) -> tuple[list[Entry], bytes | None]:
    """Up to `limit` entries of a table from the key `begin` on, and where to go on after.

    The second answer is the last key seen (go on with its successor), `None` at the end of
    the table. A spread table is read partition by partition, skipping what else lies in
    them; at most `limit` partitions are visited, so fewer entries than `limit` may come.
    """
    if not place.is_local:
        table = place.table_of(b"")
        entries, more = await tx.unchecked_scan(
            max(begin, table), table + AFTER, limit, _FORWARD, snapshot=snapshot
        )
        return entries, entries[-1][0] if more else None
    found: list[Entry] = []
    position = max(begin, place.head)
    for _ in range(limit):
        area, _more = await tx.unchecked_scan(
            position, place.head + AFTER, 1, _FORWARD, snapshot=snapshot
        )
        if not area:
            return found, None
        partition = place.partition_of(area[0][0])
        table = place.table_of(partition)
        if position < table + AFTER:
            entries, more = await tx.unchecked_scan(
                max(position, table),
                table + AFTER,
                limit - len(found),
                _FORWARD,
                snapshot=snapshot,
            )
            found += entries
            if more or len(found) == limit:
                return found, found[-1][0]
        position = successor(place.head + partition + AFTER)
    return found, position
