"""What a split, a merge, a claim or a release writes at the coordinator. Pure.

The store changes a range's shape first, in one batch; the descriptors follow by one write that
compares the revisions of all of them (a *flip*). A flip that was never written, since the node
crashed in between, is completed by whoever opens the range next: the stored shape says all that
is needed.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from fastness.errors import StoreDamaged
from fastness.placement.cluster_view import Placed, encode_descriptor, range_key, session_key
from fastness.placement.coordinator import Put
from fastness.placement.descriptors import Descriptor
from fastness.ranges.shape import Shape


class Flip(NamedTuple):
    """One compare-and-write of descriptors; `kept` is the one of the range that goes on."""

    compare: dict[str, int]
    puts: list[Descriptor]
    gone: tuple[int, ...]
    kept: Descriptor

    def writes(self) -> list[Put]:
        """The descriptors as the coordinator keeps them."""
        return [Put(range_key(one.range_id), encode_descriptor(one)) for one in self.puts]

    def deletes(self) -> tuple[str, ...]:
        """The keys of the ranges that are no more."""
        return tuple(range_key(range_id) for range_id in self.gone)

    @property
    def witness(self) -> str:
        """A key whose value tells whether this flip was written."""
        return range_key(self.kept.range_id)


def claim_of(placed: Placed, *, holder: str, session: int, session_revision: int) -> Flip:
    """Take a range over: the next epoch, while the session lives and the last holder's does not.

    A range that its holder released, or that this very session holds without serving it, is
    free whatever lives.
    """
    found = placed.descriptor
    claimed = replace(found, epoch=found.epoch + 1, holder=holder, session=session, released=False)
    compare = {range_key(found.range_id): placed.revision, session_key(session): session_revision}
    if not found.released and found.session not in {0, session}:
        compare[session_key(found.session)] = 0
    return Flip(compare, [claimed], (), claimed)


def release_of(placed: Placed) -> Flip:
    """Give a range up after the last read of it: the next holder need not wait."""
    released = replace(placed.descriptor, released=True)
    key = range_key(released.range_id)
    return Flip({key: placed.revision}, [released], (), released)


def split_of(parent: Placed, shape: Shape, child: Descriptor) -> Flip:
    """The descriptors of both children: the parent's own, now shorter, and the new one's."""
    kept = replace(parent.descriptor, begin=shape.begin, end=shape.end, generation=shape.generation)
    compare = {range_key(kept.range_id): parent.revision, range_key(child.range_id): 0}
    return Flip(compare, [kept, child], (), kept)


def move_of(source: Placed, moved: Descriptor) -> Flip:
    """The descriptor of a range that goes on in another store, in place of the one it had."""
    gone = source.descriptor.range_id
    compare = {range_key(gone): source.revision, range_key(moved.range_id): 0}
    return Flip(compare, [moved], (gone,), moved)


def merge_of(left: Placed, right: Placed, shape: Shape) -> Flip:
    """The descriptor of the union; the absorbed range's goes."""
    kept = replace(left.descriptor, begin=shape.begin, end=shape.end, generation=shape.generation)
    absorbed = right.descriptor.range_id
    compare = {range_key(kept.range_id): left.revision, range_key(absorbed): right.revision}
    return Flip(compare, [kept], (absorbed,), kept)


def unfinished(placed: Placed, shape: Shape, ranges: dict[int, Placed]) -> Flip | None:
    """The flip that brings descriptors up to a shape found in the store, if any is missing.

    `StoreDamaged` where the two contradict each other: such a range must not be served.
    """
    found = placed.descriptor
    if shape.generation == found.generation and shape.interval == found.interval:
        return None
    if shape.generation <= found.generation or shape.begin != found.begin:
        raise _contradiction(found, shape)
    if shape.end < found.end:
        return _unfinished_split(placed, shape)
    return _unfinished_merge(placed, shape, ranges)


def _unfinished_split(placed: Placed, shape: Shape) -> Flip:
    found = placed.descriptor
    for child_id, begin in shape.born:
        if begin == shape.end:
            # Nobody holds the child, and nothing says that nobody reads it: its first holder
            # takes epoch 2, above the one it was born with, and waits as after any other.
            child = Descriptor(child_id, begin, found.end, shape.generation, found.store, epoch=1)
            return split_of(placed, shape, child)
    raise _contradiction(found, shape)


def _unfinished_merge(placed: Placed, shape: Shape, ranges: dict[int, Placed]) -> Flip:
    for absorbed in shape.absorbed:
        right = ranges.get(absorbed)
        if right is not None and right.descriptor.begin == placed.descriptor.end:
            return merge_of(placed, right, shape)
    raise _contradiction(placed.descriptor, shape)


def _contradiction(found: Descriptor, shape: Shape) -> StoreDamaged:
    return StoreDamaged(
        f"range {found.range_id} is {found.begin!r} to {found.end!r} of generation "
        f"{found.generation} for the coordinator, but {shape.begin!r} to {shape.end!r} of "
        f"generation {shape.generation} in its store: one of the two was restored alone"
    )
