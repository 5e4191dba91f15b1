"""The first descriptors of a cluster, written once."""

from __future__ import annotations

from collections.abc import Iterable

from fastness.errors import Unreachable
from fastness.placement.cluster_view import encode_counter, encode_descriptor, range_key
from fastness.placement.coordinator import NEXT_RANGE, RANGES, Coordinator, Put
from fastness.placement.descriptors import Descriptor, require_cover


async def bootstrap(
    coordinator: Coordinator, ranges: Iterable[tuple[bytes, bytes, str]], *, epoch: int = 0
) -> bool:
    """Write descriptors for (begin, end, store) of a new cluster; `False`: it has some already.

    `epoch` is the highest at which anybody opened one of the ranges in its store before.

    They must cover every key exactly once. They are written at once, so there may be no more of
    them than one write holds, less one (else `LimitExceeded`). Whoever comes first wins; a cluster
    that exists is never touched. `Unreachable` where the coordinator did not answer: call it again.
    """
    first = [
        Descriptor(range_id, begin, end, 1, store, epoch=epoch, released=True)
        for range_id, (begin, end, store) in enumerate(ranges, start=1)
    ]
    require_cover(first)
    puts = [Put(range_key(one.range_id), encode_descriptor(one)) for one in first]
    puts.append(Put(NEXT_RANGE, encode_counter(len(first) + 1)))
    try:
        return await coordinator.write({NEXT_RANGE: 0}, puts) is not None
    except Unreachable:
        _revision, entries = await coordinator.read(RANGES)
        if not entries:
            raise
        return False
