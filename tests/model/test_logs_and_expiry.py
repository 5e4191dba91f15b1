"""Records ordered by their commit, and records that end by themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from fastness.errors import Conflict, InvalidKey, InvalidOption, InvalidValue, RecordExists
from fastness.model import Entity
from tests.model.world import Change, Session, World, own_engine_only


def test_a_log_is_read_in_commit_order(world: World) -> None:
    """By several transactions, several records in one, each partition for itself."""
    first, second = world.begin(), world.begin()
    second.insert(Change(shop="s", what="b1"))
    first.insert(Change(shop="s", what="a1"))
    first.insert(Change(shop="s", what="a2"))
    first.insert(Change(shop="t", what="other"))
    second.commit()
    first.commit()
    tx = world.begin()
    changes = tx.query(Change.by_key, "s").items
    assert [change.what for change in changes] == ["b1", "a1", "a2"]
    stamps = [change.at for change in changes]
    assert stamps == sorted(stamps)
    assert stamps[1][:10] == first.versionstamp()
    assert tx.fetch(Change, "s", stamps[2]) == changes[2]
    assert [one.what for one in tx.query(Change.by_key, "s", reverse=True)] == ["a2", "a1", "b1"]
    assert [one.what for one in tx.every(Change)] == ["b1", "a1", "a2", "other"]
    assert world.wrong() == []


def test_a_log_is_followed_by_a_cursor(world: World) -> None:
    """Everything above the last stamp seen, nothing twice, nothing left out."""
    cursor: bytes | None = None
    seen: list[str] = []
    for turn in range(3):
        with world.begin() as tx:
            tx.insert(Change(shop="s", what=f"x{turn}"))
            tx.insert(Change(shop="s", what=f"y{turn}"))
        for change in world.begin().query(Change.by_key, "s", above=cursor):
            seen.append(change.what)
            cursor = change.at
    assert seen == ["x0", "y0", "x1", "y1", "x2", "y2"]


def test_appending_does_not_conflict(world: World) -> None:
    """Two that append at once both commit; one that read the log conflicts."""
    one, other, reader = world.begin(), world.begin(), world.begin()
    reader.query(Change.by_key, "s")
    for tx in (one, other, reader):
        tx.insert(Change(shop="s", what="x"))
    one.commit()
    other.commit()
    with pytest.raises(Conflict):
        reader.commit()


def test_records_of_a_log_are_removed_but_never_changed(world: World) -> None:
    """A stamp is not the caller's to give; put and patch are refused."""
    world.run(lambda tx: tx.insert(Change(shop="s", what="x")))
    (change,) = world.begin().query(Change.by_key, "s")
    with pytest.raises(InvalidValue, match=r"Change.at: the commit fills it in; leave it"):
        world.run(lambda tx: tx.insert(change))
    with pytest.raises(InvalidOption, match=r"Change is a log: use insert\(\)"):
        world.run(lambda tx: tx.put(Change(shop="s", what="y")))
    with pytest.raises(InvalidOption, match="Change is a log"):
        world.run(lambda tx: tx.patch(Change, "s", change.at, what="y"))
    assert world.run(lambda tx: tx.remove(Change, "s", change.at)) == change
    assert world.begin().every(Change).items == []


@pytest.mark.parametrize("stamp", [b"", b"short", "text"], ids=repr)
def test_a_stamp_in_a_key_has_twelve_bytes(world: World, stamp: Any) -> None:  # noqa: ANN401 - wrong types too
    """Anything else is refused, in keys and in bounds."""
    with pytest.raises(InvalidKey, match="Change"):
        world.begin().fetch(Change, "s", stamp)
    with pytest.raises(InvalidKey, match="Change"):
        world.begin().query(Change.by_key, "s", above=stamp)


def session(world: World, minutes: int | None, token: bytes = b"1") -> Session:
    """A session that ends in some minutes."""
    ends = None if minutes is None else world.now() + timedelta(minutes=minutes)
    return Session(token=token, user="ann", ends=ends)


def test_an_expired_record_is_gone_for_every_reader(world: World) -> None:
    """By key, index and count, at one moment; one without an end stays."""
    with world.begin() as tx:
        tx.insert(session(world, 5))
        tx.insert(session(world, None, b"2"))
    before = world.begin()
    assert before.fetch(Session, b"2") is not None
    world.pass_time(minutes=4)
    assert len(world.begin().query(Session.by_user, "ann")) == 2
    world.pass_time(minutes=2)
    tx = world.begin()
    assert tx.fetch(Session, b"1") is None
    assert [one.token for one in tx.query(Session.by_user, "ann")] == [b"2"]
    assert tx.count(Session.by_user, "ann") == 1
    assert before.fetch(Session, b"1") is not None
    assert world.wrong() == []


@own_engine_only("a server prunes by itself")
def test_an_expired_record_is_pruned_with_its_entries(world: World) -> None:
    """Rows of the record and of its index go, and nothing else."""
    with world.begin() as tx:
        tx.insert(session(world, 5))
        tx.insert(session(world, None, b"2"))
    world.pass_time(minutes=6)
    rows = world.rows()
    world.sweep()
    assert rows - world.rows() == 2
    assert world.wrong() == []


def test_what_has_expired_is_not_in_the_way(world: World) -> None:
    """Its key can be inserted again; until then it cannot."""
    world.run(lambda tx: tx.insert(session(world, 5)))
    with pytest.raises(RecordExists):
        world.run(lambda tx: tx.insert(session(world, 5)))
    world.pass_time(minutes=6)
    world.run(lambda tx: tx.insert(session(world, 5)))
    assert len(world.begin().query(Session.by_user, "ann")) == 1
    assert world.wrong() == []


@own_engine_only("a server prunes by itself")
def test_a_record_is_kept_alive_with_its_entries(world: World) -> None:
    """A later end reaches every entry, also those whose values stay."""
    world.run(lambda tx: tx.insert(session(world, 5)))
    world.run(lambda tx: tx.patch(Session, b"1", ends=world.now() + timedelta(minutes=50)))
    world.pass_time(minutes=20)
    assert len(world.begin().query(Session.by_user, "ann")) == 1
    world.run(lambda tx: tx.patch(Session, b"1", ends=None))
    world.pass_time(minutes=200)
    world.sweep()
    assert len(world.begin().query(Session.by_user, "ann")) == 1
    assert world.wrong() == []


class Bare(Entity, key="token", expires="ends", kind="Session"):
    """Sessions before they had an index."""

    token: bytes
    user: str
    ends: datetime | None = None


@own_engine_only("a server prunes by itself")
def test_an_index_of_expiring_records_is_built_with_their_ends() -> None:
    """Entries made by the builder end when their record does."""
    with World(Bare) as world:
        with world.begin() as tx:
            tx.insert(Bare(token=b"1", user="ann", ends=world.now() + timedelta(minutes=5)))
            tx.insert(Bare(token=b"2", user="ann"))
        world.use(Session)
        world.build()
        assert len(world.begin().query(Session.by_user, "ann")) == 2
        world.pass_time(minutes=6)
        assert [one.token for one in world.begin().query(Session.by_user, "ann")] == [b"2"]
        world.sweep()
        assert world.wrong() == []
