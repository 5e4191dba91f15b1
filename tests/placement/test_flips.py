"""What claims, releases, splits and merges write, and what completes a flip that is missing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import StoreDamaged
from fastness.placement.cluster_view import Placed
from fastness.placement.descriptors import Descriptor, require_cover
from fastness.placement.flips import claim_of, merge_of, release_of, split_of, unfinished
from fastness.ranges.shape import Shape

WHOLE = Descriptor(1, b"", SYSTEM_END, 4, "store", epoch=3, holder="node-1", session=8)
LEFT = replace(WHOLE, end=b"m")
RIGHT = Descriptor(2, b"m", SYSTEM_END, 9, "store", epoch=2, holder="node-1", session=8)


def test_a_claim_proves_both_sessions() -> None:
    """It lands only while the claimer's session lives and the last holder's does not."""
    flip = claim_of(Placed(WHOLE, 20), holder="node-2", session=9, session_revision=15)
    assert flip.compare == {"ranges/1": 20, "sessions/9": 15, "sessions/8": 0}
    assert flip.kept == replace(WHOLE, epoch=4, holder="node-2", session=9)
    assert flip.witness == "ranges/1"


@pytest.mark.parametrize("found", [replace(WHOLE, released=True), replace(WHOLE, session=9)])
def test_what_is_free_already_needs_no_proof(found: Descriptor) -> None:
    """A released range, or one of the same session, is claimed whoever lives."""
    flip = claim_of(Placed(found, 20), holder="node-2", session=9, session_revision=15)
    assert flip.compare == {"ranges/1": 20, "sessions/9": 15}
    assert not flip.kept.released


def test_a_release_changes_nothing_else() -> None:
    """Epoch and holder stay: only the holder itself can have written it."""
    flip = release_of(Placed(WHOLE, 20))
    assert flip.compare == {"ranges/1": 20}
    assert flip.puts == [replace(WHOLE, released=True)]


def test_a_split_covers_what_the_parent_did() -> None:
    """The parent keeps its id, the child must be new."""
    shape = Shape(1, b"", b"m", 5, [], [(7, b"m")])
    child = Descriptor(7, b"m", SYSTEM_END, 5, "store", epoch=1, holder="node-1", session=8)
    flip = split_of(Placed(WHOLE, 20), shape, child)
    assert flip.compare == {"ranges/1": 20, "ranges/7": 0}
    require_cover(flip.puts)
    assert [put.key for put in flip.writes()] == ["ranges/1", "ranges/7"]


def test_a_merge_removes_the_absorbed() -> None:
    """Both revisions are compared, one descriptor goes."""
    shape = Shape(1, b"", SYSTEM_END, 10, [2])
    flip = merge_of(Placed(LEFT, 20), Placed(RIGHT, 21), shape)
    assert flip.compare == {"ranges/1": 20, "ranges/2": 21}
    assert flip.deletes() == ("ranges/2",)
    require_cover(flip.puts)


def test_a_missing_split_is_completed_without_a_holder() -> None:
    """The child waits for somebody to claim it, and was not released."""
    shape = Shape(1, b"", b"m", 5, [], [(7, b"m")])
    flip = unfinished(Placed(WHOLE, 20), shape, {})
    assert flip is not None
    child = flip.puts[1]
    assert (child.range_id, child.epoch, child.session, child.released) == (7, 1, 0, False)
    require_cover(flip.puts)


def test_a_missing_merge_is_completed() -> None:
    """Whoever holds the absorbed range by now loses it: the store has closed it for good."""
    shape = Shape(1, b"", SYSTEM_END, 10, [2])
    taken = replace(RIGHT, holder="node-3", session=30, epoch=5)
    flip = unfinished(Placed(LEFT, 20), shape, {2: Placed(taken, 33)})
    assert flip is not None
    assert flip.compare == {"ranges/1": 20, "ranges/2": 33}
    assert flip.gone == (2,)


def test_nothing_is_missing() -> None:
    """A descriptor that agrees with the store is left alone."""
    assert unfinished(Placed(WHOLE, 20), Shape(1, b"", SYSTEM_END, 4), {}) is None


@pytest.mark.parametrize(
    "shape",
    [
        Shape(1, b"", SYSTEM_END, 3),
        Shape(1, b"", b"m", 4),
        Shape(1, b"a", SYSTEM_END, 5),
        Shape(1, b"", b"m", 5, [], [(7, b"q")]),
        Shape(1, b"", SYSTEM_END + b"x", 5, [6]),
    ],
)
def test_a_contradiction_is_not_served(shape: Shape) -> None:
    """An older store, another interval, a child or a neighbour that is not there."""
    with pytest.raises(StoreDamaged, match="restored alone"):
        unfinished(Placed(WHOLE, 20), shape, {})
