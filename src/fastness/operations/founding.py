"""Making a cluster, and adding stores to it: what is written once, and may be repeated.

::

    the cluster's record     (an id, the nodes' secret)    compared with: none is there
    each store prepared      (it belongs to that id now)
    stores and first ranges  in one write                  compared with: there are no ranges

A repeat goes on where an interrupted one ended; one that comes after the last step changes nothing.
Whatever contradicts what is there (another store under a known name, a store of another cluster)
is refused. Nothing here needs a node.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import InvalidOption, Unreachable
from fastness.placement.bounds import OPERATIONS_MAX
from fastness.placement.cluster_view import encode_counter, encode_descriptor, range_key
from fastness.placement.coordinator import (
    CLUSTER,
    NEXT_RANGE,
    RANGES,
    STORES,
    Coordinator,
    Put,
)
from fastness.placement.descriptors import Descriptor, require_cover
from fastness.placement.membership import (
    ClusterRecord,
    StoreRecord,
    cluster_in,
    encode_record,
    require_name,
    require_protocol,
    store_key,
    stores_in,
)
from fastness.wire.handshake import PROTOCOLS

Prepare = Callable[[StoreRecord, str], Coroutine[Any, Any, StoreRecord]]
"""Makes a store ready for the cluster of an id; the record with the store's identity."""

FIRST_MAX = OPERATIONS_MAX - 1
"""Stores and first ranges of a cluster together: they are written at once, with a counter."""


class Founded(NamedTuple):
    """A cluster as it is now; `created`: its first ranges were written by this call."""

    cluster: ClusterRecord
    stores: list[StoreRecord]
    ranges: int
    created: bool


class Added(NamedTuple):
    """A store as it is registered now."""

    store: StoreRecord
    cluster: ClusterRecord
    change: str
    """`added`, `changed` (its URL) or `unchanged`."""


async def found_cluster(
    coordinator: Coordinator,
    stores: Sequence[StoreRecord],
    prepare: Prepare,
    *,
    borders: Sequence[bytes] = (),
) -> Founded:
    """Make a cluster of these stores, or finish making it.

    The keys are divided at `borders` (in order) among the stores in turn. `InvalidOption` where
    the prefix holds a finished cluster of other stores.
    """
    _check(stores, borders)
    cluster = await _claimed(coordinator)
    known = await _known_stores(coordinator)
    if known:
        return await _found_again(coordinator, cluster, known, stores)
    prepared = [await prepare(record, cluster.id) for record in stores]
    _require_apart(prepared)
    first = _first_ranges(prepared, borders)
    puts = [Put(range_key(one.range_id), encode_descriptor(one)) for one in first]
    puts += [Put(store_key(one.name), encode_record(one)) for one in prepared]
    puts.append(Put(NEXT_RANGE, encode_counter(len(first) + 1)))
    try:
        written = await coordinator.write({NEXT_RANGE: 0}, puts)
    except Unreachable as error:
        raise Unreachable(f"{error}; whether the cluster was made is not known: repeat") from error
    if written is None:
        raise InvalidOption(
            f"cluster {cluster.id} was just made by somebody else: look at it with 'fastness "
            "cluster stores'"
        )
    return Founded(cluster, prepared, len(first), created=True)


def _check(stores: Sequence[StoreRecord], borders: Sequence[bytes]) -> None:
    if not stores:
        raise InvalidOption("a cluster needs a store: name one with --store NAME=postgresql://...")
    for record in stores:
        require_name(record.name, "store")
    if len(borders) + 1 + len(stores) > FIRST_MAX:
        raise InvalidOption(
            f"{len(borders) + 1} first ranges and {len(stores)} stores are more than {FIRST_MAX}: "
            "begin with fewer, ranges are split and stores added later"
        )
    for left, right in pairwise([b"", *borders, SYSTEM_END]):
        if left >= right:
            raise InvalidOption(
                f"border {right!r} does not come after {left!r}: give keys in order, each once"
            )


def _require_apart(stores: Sequence[StoreRecord]) -> None:
    by_identity: dict[str, str] = {}
    for record in stores:
        other = by_identity.setdefault(record.identity, record.name)
        if other != record.name:
            raise InvalidOption(
                f"stores {other!r} and {record.name!r} are one and the same database: give each "
                "its own"
            )


def _first_ranges(stores: Sequence[StoreRecord], borders: Sequence[bytes]) -> list[Descriptor]:
    edges = [b"", *borders, SYSTEM_END]
    ranges = [
        Descriptor(number, begin, end, 1, stores[(number - 1) % len(stores)].name, released=True)
        for number, (begin, end) in enumerate(pairwise(edges), start=1)
    ]
    require_cover(ranges)
    return ranges


async def _claimed(coordinator: Coordinator) -> ClusterRecord:
    """The cluster's record, made if there is none."""
    _revision, entries = await coordinator.read(CLUSTER)
    found = cluster_in(entries)
    if found is None:
        record = ClusterRecord(secrets.token_hex(16), secrets.token_urlsafe(32), PROTOCOLS[-1])
        try:
            await coordinator.write({CLUSTER: 0}, [Put(CLUSTER, encode_record(record))])
        finally:
            # Whoever came first, and whether or not the answer was lost: what is there counts.
            _revision, entries = await coordinator.read(CLUSTER)
        found = cluster_in(entries)
    if found is None:
        raise Unreachable("the coordinator lost the cluster's record: repeat")
    require_protocol(found, PROTOCOLS)
    return found


async def _known_stores(coordinator: Coordinator) -> dict[str, StoreRecord]:
    _revision, entries = await coordinator.read(STORES)
    return stores_in(entries)


async def _found_again(
    coordinator: Coordinator,
    cluster: ClusterRecord,
    known: dict[str, StoreRecord],
    stores: Sequence[StoreRecord],
) -> Founded:
    """What is there, if it is what was asked for."""
    for record in stores:
        other = known.get(record.name)
        if other is None or other.url != record.url:
            raise InvalidOption(
                f"cluster {cluster.id} is at this prefix already, with the stores "
                f"{', '.join(known)}: choose another prefix for another cluster, or use 'fastness "
                f"cluster add-store' for {record.name!r}"
            )
    _revision, entries = await coordinator.read(RANGES)
    return Founded(cluster, list(known.values()), len(entries), created=False)


async def add_store(coordinator: Coordinator, record: StoreRecord, prepare: Prepare) -> Added:
    """Register a store with its cluster, or another way to reach it; running nodes take it up.

    `InvalidOption` where its name or its database belongs to another store.
    """
    require_name(record.name, "store")
    _revision, entries = await coordinator.read("")
    cluster = cluster_in(entries)
    if cluster is None:
        raise InvalidOption(
            "there is no cluster at this prefix: make one with 'fastness cluster init'"
        )
    require_protocol(cluster, PROTOCOLS)
    prepared = await prepare(record, cluster.id)
    known = stores_in(entries)
    for other in known.values():
        if (other.identity == prepared.identity) != (other.name == record.name):
            raise InvalidOption(
                f"store {record.name!r} is not what it is called: that database has the id "
                f"{prepared.identity}, store {other.name!r} has {other.identity}; choose another "
                "name, or the right database"
            )
    found = known.get(record.name)
    if found == prepared:
        return Added(prepared, cluster, "unchanged")
    key = store_key(record.name)
    compare = {key: entries[key].revision if key in entries else 0}
    if await coordinator.write(compare, [Put(key, encode_record(prepared))]) is None:
        raise InvalidOption(
            f"store {record.name!r} was just changed by somebody else: look, repeat"
        )
    return Added(prepared, cluster, "added" if found is None else "changed")
