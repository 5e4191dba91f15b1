"""Building indexes and totals online: beside writers, in any interleaving, stopped and resumed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.errors import Conflict, SchemaError, UniqueViolation
from fastness.limits import Limits
from fastness.model import PRESENT, Count, Entity, Index, Sum, build_step, desc, each, field
from fastness.model.stored import BuildStep
from tests.model.world import World


class Plain(Entity, key=("group", "id"), partition="group", kind="Piece"):
    """A kind without indexes."""

    group: str
    id: int
    name: str = ""
    size: int | None = None
    tags: list[str] = field(default_factory=list)


class Rich(Entity, key=("group", "id"), partition="group", kind="Piece"):
    """The same with indexes and totals of all sorts."""

    group: str
    id: int
    name: str = ""
    size: int | None = None
    tags: list[str] = field(default_factory=list)
    by_size = Index("group", desc("size"), clustered=True)
    by_tag = Index(each("tags"))
    sized = Index("size", where={"size": PRESENT})
    pieces = Count("group")
    weight = Sum("size")
    named = Count("name", where={"size": PRESENT})


class Unique(Entity, key=("group", "id"), partition="group", kind="Piece"):
    """The same with unique indexes, one of them clustered."""

    group: str
    id: int
    name: str = ""
    size: int | None = None
    tags: list[str] = field(default_factory=list)
    by_name = Index("name", unique=True)
    by_size = Index("group", "size", unique=True, clustered=True, where={"size": PRESENT})


def pieces(world: World, count: int) -> None:
    """Records from before the index."""
    with world.begin() as tx:
        for number in range(count):
            name = f"n{number}"
            tx.insert(Plain(group=f"g{number % 3}", id=number, name=name, size=number, tags=[name]))


def step(world: World, records: int = 2) -> BuildStep | None:
    """One step, and what it calls for."""
    done = world.run(build_step, (), records)
    if done is not None and done.finished:
        world.refresh()
    return done


def test_an_index_is_readable_when_it_is_complete() -> None:
    """Not before; and each step does a bounded part."""
    with World(Plain) as world:
        pieces(world, 10)
        world.use(Rich)
        steps = 0
        while world.schema.pending():
            assert step(world, 3) is not None
            steps += 1
        assert steps > 6 * (10 // 3)
        assert world.build() == {}
        assert step(world) is None
        tx = world.begin()
        assert [one.id for one in tx.query(Rich.by_size, "g0")] == [9, 6, 3, 0]
        assert [one.id for one in tx.query(Rich.by_tag, "n4")] == [4]
        assert (tx.total(Rich.weight), tx.total(Rich.pieces, "g1")) == (45, 3)
        assert world.wrong() == []


def test_a_step_takes_fewer_records_where_they_are_large() -> None:
    """What it writes fits a transaction, whatever an index copies."""
    limits = replace(Limits(), transaction_bytes=1 << 21)
    with World(Plain, limits=limits) as world:
        for number in range(20):
            piece = Plain(group="g", id=number, size=number, name="x" * 200_000)
            with world.begin() as tx:
                tx.insert(piece)
        world.use(Rich)
        assert world.build(1_000) == {}
        assert world.begin().count(Rich.by_size, "g") == 20
        assert world.wrong() == []


def test_steps_grow_while_records_are_small() -> None:
    """From a few to the most a step may take."""
    with World(Plain) as world:
        pieces(world, 100)
        world.use(Rich)
        done = [world.run(build_step, (), 40) for _ in range(4)]
        assert [one.records if one else 0 for one in done] == [16, 48, 88, 100]


def test_a_build_goes_on_where_it_was_stopped() -> None:
    """Another process finds the place and the number of records done."""
    with World(Plain) as world:
        pieces(world, 9)
        world.use(Rich)
        first = step(world, 4)
        assert first is not None
        assert (first.name, first.records, first.finished) == ("Rich.by_size", 4, False)
        successor = World.__new__(World)
        successor.__dict__ |= vars(world)
        successor.use(Rich)
        second = step(successor, 4)
        assert second is not None
        assert second.records == 8
        successor.build()
        assert successor.wrong() == []


def test_a_writer_beside_a_step_makes_one_of_them_try_again() -> None:
    """A record of the page that was changed meanwhile fails the step, or is seen by it."""
    with World(Plain) as world:
        pieces(world, 4)
        world.use(Rich)
        builder = world.begin()
        build_step(builder, (), 10)
        world.run(lambda tx: tx.patch(Rich, "g0", 0, size=100))
        with pytest.raises(Conflict):
            builder.commit()
        world.build()
        assert world.wrong() == []


def test_duplicates_are_reported_and_the_build_goes_on_after_they_are_gone() -> None:
    """Both records and the values are named; meanwhile the index stays write-only."""
    with World(Plain) as world:
        pieces(world, 6)
        world.run(lambda tx: tx.patch(Plain, "g1", 4, name="n0"))
        world.use(Unique)
        problems = world.build()
        assert list(problems) == ["Unique.by_name"]
        assert "('g0', 0) and Unique ('g1', 4) both hold name='n0'" in problems["Unique.by_name"]
        with pytest.raises(SchemaError, match="still being built"):
            world.begin().fetch_by(Unique.by_name, "n0")
        assert world.schema.is_readable(Unique.by_size)
        world.run(lambda tx: tx.patch(Unique, "g1", 4, name="fresh"))
        assert world.build() == {}
        assert world.begin().fetch_by(Unique.by_name, "fresh") is not None
        assert world.wrong() == []


def test_writers_keep_a_unique_index_from_its_first_moment() -> None:
    """A value that a writer took is refused to others while the index is being built."""
    with World(Plain) as world:
        pieces(world, 3)
        world.use(Unique)
        world.run(lambda tx: tx.insert(Unique(group="z", id=1, name="new")))
        with pytest.raises(UniqueViolation, match=r"\('z', 1\) holds name='new' already"):
            world.run(lambda tx: tx.insert(Unique(group="z", id=2, name="new")))


def test_an_entry_of_another_record_is_not_removed_with_a_duplicate() -> None:
    """A writer that took the value of a record not yet reached keeps it when that one changes."""
    for change in ("remove", "patch"):
        with World(Plain) as world:
            pieces(world, 3)
            world.use(Unique)
            world.run(lambda tx: tx.insert(Unique(group="z", id=1, name="n2")))
            if change == "remove":
                world.run(lambda tx: tx.remove(Unique, "g2", 2))
            else:
                world.run(lambda tx: tx.patch(Unique, "g2", 2, name="other"))
            assert world.build() == {}
            found = world.begin().fetch_by(Unique.by_name, "n2")
            assert found is not None
            assert found.group == "z"
            assert world.wrong() == []


def test_an_index_dropped_while_it_was_built_leaves_nothing() -> None:
    """Its entries and marks are cleared; other tables stay."""
    with World(Plain) as world:
        pieces(world, 9)
        world.use(Rich)
        for _ in range(3):
            step(world)
        world.use(Plain)
        world.build(records=4)
        keys = world.begin().unchecked_scan(b"\xff\x01", b"\xff\x02", 100, reverse=False)[0]
        assert len(keys) == 9
        assert world.wrong() == []


SMALL = st.integers(0, 5)
WRITES = st.tuples(
    st.sampled_from(["put", "patch", "remove", "step", "step", "step"]),
    st.sampled_from(["a", "b"]),
    SMALL,
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["x", "y"]),
            "size": st.none() | SMALL,
            "tags": st.lists(st.sampled_from(["t", "u"]), max_size=2),
        },
    ),
)


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), SMALL), unique=True, max_size=8),
    st.lists(WRITES, max_size=40),
    st.integers(1, 4),
)
def test_any_interleaving_of_writes_and_steps_builds_the_truth(
    before: list[tuple[str, int]], writes: list[tuple[str, str, int, dict[str, Any]]], records: int
) -> None:
    """Whatever is written between the steps, the check finds nothing at any readable moment."""
    with World(Plain) as world:
        with world.begin() as tx:
            for group, id_ in before:
                tx.insert(Plain(group=group, id=id_, name="x", size=id_, tags=["t"]))
        world.use(Rich)
        for what, group, id_, changes in writes:
            if what == "step":
                step(world, records)
            else:
                write(world, what, group, id_, changes)
            assert world.wrong() == []
        world.build(records)
        assert world.wrong() == []
        assert world.schema.pending() == []
        tx = world.begin()
        everything = tx.every(Rich).items
        assert tx.total(Rich.weight) == sum(one.size or 0 for one in everything)
        assert tx.count(Rich.by_size, "a") == sum(one.group == "a" for one in everything)


def write(world: World, what: str, group: str, id_: int, changes: dict[str, Any]) -> None:
    """One write, if there is what it would change."""
    with world.begin() as tx:
        if what == "put":
            tx.put(Rich(**{"group": group, "id": id_, **changes}))
        elif what == "remove":
            tx.remove(Rich, group, id_)
        elif tx.fetch(Rich, group, id_) is not None:
            tx.patch(Rich, group, id_, **changes)


@given(st.lists(WRITES, max_size=40), st.integers(1, 3))
def test_a_unique_index_is_built_or_its_duplicates_are_named(
    writes: list[tuple[str, str, int, dict[str, Any]]], records: int
) -> None:
    """Never readable with two records of one value; and writers are refused only duplicates."""
    with World(Plain) as world:
        with world.begin() as tx:
            for id_ in range(4):
                tx.insert(Plain(group="a", id=id_, name="xxyz"[id_], size=id_))
        world.use(Unique)
        for what, group, id_, changes in writes:
            if what == "step":
                step(world, records)
                continue
            try:
                with world.begin() as tx:
                    if what == "put":
                        tx.put(Unique(**{"group": group, "id": id_, **changes}))
                    elif what == "remove":
                        tx.remove(Unique, group, id_)
                    elif tx.fetch(Unique, group, id_) is not None:
                        tx.patch(Unique, group, id_, **changes)
            except UniqueViolation:
                continue
            assert world.wrong() == []
        problems = world.build(records)
        assert world.wrong() == []
        everything = world.begin().every(Unique).items
        names = [one.name for one in everything]
        assert ("Unique.by_name" in problems) == (len(set(names)) < len(names))
        with world.begin() as tx:
            for one in everything:
                tx.remove(Unique, one.group, one.id)
        assert world.build(records) == {}
        assert world.wrong() == []
