"""A change of the schema is in the order of transactions like any other write."""

from __future__ import annotations

import pytest

from fastness.errors import Conflict
from fastness.model import Entity, Index
from tests.model.world import World


class Thing(Entity, key="id"):
    """The first form."""

    id: int
    name: str
    by_name = Index("name")


class Unindexed(Entity, key="id", kind="Thing"):
    """The second, without the index."""

    id: int
    name: str


def test_a_reader_of_a_dropped_index_conflicts_with_who_no_longer_keeps_it() -> None:
    """Write skew: one queries the index and writes a key, the other reads it and inserts."""
    with World(Thing) as world:
        counting = world.begin()
        counting.set(b"count", str(len(counting.query(Thing.by_name, "x"))).encode())
        world.use(Unindexed)
        inserting = world.begin()
        assert inserting.get(b"count") is None
        inserting.insert(Unindexed(id=1, name="x"))
        inserting.commit()
        with pytest.raises(Conflict):
            counting.commit()
