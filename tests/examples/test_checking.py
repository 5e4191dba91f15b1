"""The demo's checks find what is planted for them, and nothing where all is well."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from examples.files import service
from examples.files.demo.checking import (
    Replay,
    check_space,
    counters,
    listed_once,
    no_cycle,
    one_parent_each,
    replay_equals,
    unique_names,
)
from examples.files.demo.killing import broken_promises, half_done
from examples.files.demo.promises import Told
from examples.files.schema import ROOT, Entry, EntryId, Role, Share, SpaceId
from fastness import Database

Tree = dict[EntryId, Entry]


@pytest.fixture
def ids(db: Database, space: SpaceId) -> dict[str, EntryId]:
    """A small tree: a/b/f and g, and a share of a; ids by name."""
    a = service.create_folder(db, space, ROOT, "a").id
    b = service.create_folder(db, space, a, "b").id
    f = service.create_file(db, space, b, "f", size=3).id
    g = service.create_file(db, space, ROOT, "g", size=5).id
    service.share(db, space, a, "bob", Role.READER)
    return {"a": a, "b": b, "f": f, "g": g}


@pytest.fixture
def tree(db: Database, space: SpaceId, ids: dict[str, EntryId]) -> Tree:
    """The records of that tree."""
    assert ids
    with db.transaction(read_only=True) as tx:
        return {entry.id: entry for entry in tx.query_all(Entry.by_key, space)}


def plant(db: Database, space: SpaceId, entry: EntryId, **changes: Any) -> list[str]:  # noqa: ANN401 - fields of any type
    """Change an entry behind the service's back; what the checks say to it."""
    with db.transaction() as tx:
        tx.patch(Entry, space, entry, **changes)
    return check_space(db, space).problems


def test_nothing_is_found_in_a_sound_space(
    db: Database, space: SpaceId, ids: dict[str, EntryId]
) -> None:
    """What the service leaves behind passes every check, and all of it is looked at."""
    service.delete(db, space, ids["b"])
    checked = check_space(db, space)
    assert (checked.entries, checked.shares, checked.problems) == (5, 1, [])
    assert checked.changes == 7


def test_a_missing_folder_is_found(db: Database, space: SpaceId, ids: dict[str, EntryId]) -> None:
    """An entry in a folder that does not exist."""
    assert any("does not exist" in told for told in plant(db, space, ids["f"], folder=99))


def test_a_file_as_folder_is_found(db: Database, space: SpaceId, ids: dict[str, EntryId]) -> None:
    """An entry inside a file."""
    told = plant(db, space, ids["f"], folder=ids["g"])
    assert any("inside 'g', a file" in line for line in told)


def test_a_second_root_is_found(db: Database, space: SpaceId, ids: dict[str, EntryId]) -> None:
    """An entry that is in no folder."""
    assert any("is in no folder" in told for told in plant(db, space, ids["b"], folder=None))


def test_a_missing_root_is_found(tree: Tree) -> None:
    """A tree without its root."""
    del tree[ROOT]
    assert "there is no root folder" in list(one_parent_each(tree))


def test_a_cycle_is_found(db: Database, space: SpaceId, ids: dict[str, EntryId]) -> None:
    """A folder inside what is inside it, told once."""
    told = plant(db, space, ids["a"], folder=ids["b"])
    assert sum("lies inside itself" in line for line in told) == 1


def test_a_cycle_of_one_is_found(tree: Tree, ids: dict[str, EntryId]) -> None:
    """A folder directly inside itself."""
    tree[ids["a"]] = replace(tree[ids["a"]], folder=ids["a"])
    assert len(list(no_cycle(tree))) == 1


def test_a_double_name_is_found(tree: Tree, ids: dict[str, EntryId]) -> None:
    """Two entries of one name in a folder, unless one of them was deleted."""
    twin = replace(tree[ids["g"]], id=EntryId(77))
    tree[twin.id] = twin
    assert list(unique_names(tree)) == [f"folder {ROOT} holds 2 entries named 'g'"]
    tree[twin.id] = replace(twin, deleted=twin.modified)
    assert not list(unique_names(tree))


def test_a_wrong_listing_is_found(tree: Tree, ids: dict[str, EntryId]) -> None:
    """Entries left out of the listing, listed twice, or listed otherwise than they are."""
    listing = list(tree.values())
    g = tree[ids["g"]]
    assert not list(listed_once(tree, listing))
    assert "missing" in next(listed_once(tree, [e for e in listing if e is not g]))
    assert "twice" in next(listed_once(tree, [*listing, g]))
    assert "the record is" in next(
        listed_once(tree, [replace(e, size=9) if e is g else e for e in listing])
    )


def test_wrong_counters_are_found(
    db: Database, space: SpaceId, tree: Tree, ids: dict[str, EntryId]
) -> None:
    """Counters of entries, bytes and members that differ from what there is."""
    roles = {(ids["a"], "bob"): Role.READER}
    with db.transaction(read_only=True) as tx:
        assert not list(counters(tx, space, tree, roles))
        more_roles = {**roles, (ids["a"], "ann"): Role.READER}
        assert "members" in next(counters(tx, space, tree, more_roles))
        del tree[ids["g"]]
        assert len(list(counters(tx, space, tree, roles))) == 2


def test_a_change_without_a_line_in_the_journal_is_found(
    db: Database, space: SpaceId, ids: dict[str, EntryId]
) -> None:
    """A rename and a share that the journal does not tell."""
    told = plant(db, space, ids["g"], name="renamed")
    assert len(told) == 1
    assert "the journal leads to" in told[0]
    with db.transaction() as tx:
        tx.remove(Share, space, ids["a"], "bob")
    assert any("leads to share" in line for line in check_space(db, space).problems)


def test_a_lost_line_of_the_journal_is_found(
    db: Database, space: SpaceId, tree: Tree, ids: dict[str, EntryId]
) -> None:
    """A replay that misses any one change that matters differs."""
    changes = service.changes(db, space).items
    roles = {(ids["a"], "bob"): Role.READER}
    for missing in changes:
        replayed = Replay()
        for change in changes:
            if change is not missing:
                replayed.apply(change)
        assert list(replay_equals(replayed, tree, roles)), missing


def test_a_broken_promise_is_found(
    db: Database, space: SpaceId, tree: Tree, ids: dict[str, EntryId]
) -> None:
    """An acknowledged entry that is missing or different, and half a transaction."""
    f, g = tree[ids["f"]], tree[ids["g"]]
    lost = replace(g, id=EntryId(77))
    with db.transaction(read_only=True) as tx:
        assert not list(broken_promises(tx, Told([f, g], 1, [])))
        assert len(list(broken_promises(tx, Told([f, lost, replace(g, size=1)], 1, [])))) == 2
        assert list(half_done(tx, space, Told([], 0, [f.id, lost.id])))
        assert not list(half_done(tx, space, Told([], 0, [f.id, g.id])))
        assert not list(half_done(tx, space, Told([], 0, [lost.id])))
