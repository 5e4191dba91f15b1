"""What a node knows of the coordinator: readings, its own writes, and what it may claim."""

from __future__ import annotations

import pytest

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import InvalidEncoding
from fastness.placement.cluster_view import (
    ClusterView,
    encode_counter,
    encode_descriptor,
)
from fastness.placement.coordinator import Entry
from fastness.placement.descriptors import Descriptor, OracleDescriptor

RANGE = Descriptor(1, b"", SYSTEM_END, 1, "store", epoch=2, holder="node-1", session=8)


def entries(**extra: Entry) -> dict[str, Entry]:
    """A small cluster at the coordinator."""
    found = {
        "sessions/8": Entry(b"node-1", 3),
        "nodes/node-2": Entry(b"9", 4),
        "nodes/node-1": Entry(b"8", 3),
        "ranges/1": Entry(encode_descriptor(RANGE), 5),
        "oracle": Entry(encode_descriptor(OracleDescriptor(3, "node-1", 8)), 6),
        "ceiling": Entry(encode_counter(1_000), 7),
        "next-range": Entry(encode_counter(2), 1),
    }
    return found | extra


def test_a_reading_is_taken_in() -> None:
    """Everything is found under its key."""
    view = ClusterView()
    assert view.refreshed(10, entries())
    assert view.nodes == ["node-1", "node-2"]
    assert view.sessions == {8: 3}
    assert view.ranges[1] == (RANGE, 5)
    assert (view.oracle_address(), view.oracle_revision) == ("node-1", 6)
    assert (view.ceiling, view.next_range) == (1_000, 2)
    assert view.routes.holder_of(b"x") == RANGE
    assert view.holding() == {"node-1": 1, "node-2": 0}


def test_a_reading_from_before_a_write_of_ours_is_dropped() -> None:
    """What this node has written itself is never unlearned."""
    view = ClusterView()
    view.refreshed(10, entries())
    child = Descriptor(2, b"m", SYSTEM_END, 2, "store", epoch=1, holder="node-1", session=8)
    parent = Descriptor(1, b"", b"m", 2, "store", epoch=2, holder="node-1", session=8)
    view.changed(12, [child, parent])
    assert not view.refreshed(11, entries())
    assert list(view.ranges) == [1, 2]
    assert view.routes.holder_of(b"x") == child
    view.changed(13, [], gone=[2])
    assert list(view.ranges) == [1]
    assert view.refreshed(13, entries())


def test_a_range_that_vanished_behind_our_write_is_not_kept() -> None:
    """What this node wrote is known until a newer reading says otherwise, gone included."""
    view = ClusterView()
    view.refreshed(10, entries())
    child = Descriptor(2, b"m", SYSTEM_END, 2, "store", epoch=1, holder="node-1", session=8)
    parent = Descriptor(1, b"", b"m", 2, "store", epoch=2, holder="node-1", session=8)
    view.changed(12, [parent, child])
    union = Descriptor(1, b"", SYSTEM_END, 3, "store", epoch=2, holder="node-1", session=8)
    assert view.refreshed(14, entries(**{"ranges/1": Entry(encode_descriptor(union), 14)}))
    assert list(view.ranges) == [1]
    assert view.routes.holder_of(b"x") == union
    claimed = Descriptor(1, b"", SYSTEM_END, 3, "store", epoch=3, holder="node-2", session=9)
    view.changed(15, [claimed])
    assert view.routes.holder_of(b"x") == claimed
    without = entries()
    del without["ranges/1"]
    assert view.refreshed(16, without)
    assert not view.ranges
    assert view.routes.holder_of(b"x") is None


def test_what_is_free() -> None:
    """Released, its holder gone, or its own: nothing else may be claimed."""
    view = ClusterView()
    view.refreshed(10, entries())
    assert not view.is_free(RANGE, 9)
    assert view.is_free(RANGE, 8)
    assert view.is_free(Descriptor(1, b"", b"", 1, "store", session=77), 9)
    assert view.is_free(Descriptor(1, b"", b"", 1, "store", session=8, released=True), 9)
    assert view.is_free(Descriptor(1, b"", b"", 1, "store"), 9)
    empty = ClusterView()
    assert empty.is_free(empty.oracle, 9)


@pytest.mark.parametrize("key", ["ranges/1", "oracle"])
def test_a_descriptor_of_another_program_is_an_error(key: str) -> None:
    """It is reported, with the bytes, and not guessed at."""
    with pytest.raises(InvalidEncoding, match="cannot be read"):
        ClusterView().refreshed(10, {**entries(), key: Entry(b"\xc1", 9)})
