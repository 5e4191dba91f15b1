"""Who should claim what is free: a guess that every node makes alike. Pure.

Each free range goes to the node that holds least by then, in the order of range ids and
addresses. Nodes that have read the same at the coordinator so divide what is free without a word
and without getting into each other's way; where they have not, the coordinator's comparisons
decide. If the first choice does not come, the next node in the order of addresses is as good:
`turn_of` says after how many others a node may go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heapreplace

from fastness.runtime.process import Address


def shared_out(free: Iterable[int], held: Mapping[Address, int]) -> dict[int, Address]:
    """The first choice for each free range. `held` has every node that lives, at least one."""
    heap = [(count, address) for address, count in held.items()]
    heapify(heap)
    chosen: dict[int, Address] = {}
    for range_id in sorted(free):
        count, address = heap[0]
        chosen[range_id] = address
        heapreplace(heap, (count + 1, address))
    return chosen


def turn_of(address: Address, first: Address, nodes: list[Address]) -> int:
    """How many nodes go before this one, where `first` goes first; both are among the nodes."""
    return (nodes.index(address) - nodes.index(first)) % len(nodes)
