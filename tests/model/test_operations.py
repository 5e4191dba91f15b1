"""Writing and reading records: each operation's answer, refusal and side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from fastness.errors import (
    Conflict,
    InvalidKey,
    InvalidOption,
    InvalidValue,
    RecordExists,
    RecordNotFound,
    SchemaError,
    UniqueViolation,
    VersionMismatch,
)
from fastness.model import Entity, TypedOperations
from tests.model.world import NOON, ONE, TWO, Address, Item, Level, Member, Role, Team, User, World

Call = Callable[[TypedOperations], object]


def ann(**fields: str) -> User:
    """A user."""
    return replace(User(id="ann", email="ann@x.org"), **fields)


def test_a_record_is_read_as_it_was_written(world: World) -> None:
    """Every type of field survives storing, by whichever way the record is read."""
    item = Item(
        shop="s",
        id=1,
        title="Größe \x00 null",
        price=-5,
        level=Level.HIGH,
        tags=["b", "a"],
        place=Address(street="Lane", number=7),
    )
    with world.begin() as tx:
        stored = tx.insert(item)
        assert stored == item
        assert stored is not item
    tx = world.begin()
    assert tx.fetch(Item, "s", 1) == item
    assert tx.require(Item, "s", 1) == item
    assert tx.fetch_many(Item, [("s", 2), ("s", 1)]) == [None, item]
    assert tx.fetch_by(Item.by_title, "s", item.title) == item
    assert tx.query(Item.by_tag, "s", "a").items == [item]
    assert list(tx.query_all(Item.by_level, Level.HIGH)) == [item]
    assert tx.every(Item).items == [item]
    assert world.wrong() == []


def test_a_transaction_sees_its_own_records(world: World) -> None:
    """Records, index entries and totals written are read back before the commit."""
    with world.begin() as tx:
        tx.insert(Item(shop="s", id=1, title="a", price=3))
        tx.put(Item(shop="s", id=1, title="b", price=4))
        assert [one.title for one in tx.query(Item.by_title, "s")] == ["b"]
        assert (tx.total(Item.worth, "s"), tx.total(Item.items, "s")) == (4, 1)
        tx.remove(Item, "s", 1)
        assert tx.query(Item.by_title, "s").items == []
        assert (tx.total(Item.worth, "s"), tx.total(Item.items, "s")) == (0, 0)


def test_insert_refuses_a_taken_key(world: World) -> None:
    """A second record with the same key is refused, and named."""
    world.run(lambda tx: tx.insert(ann()))
    with pytest.raises(RecordExists, match=r"User 'ann' exists already; put\(\) replaces it"):
        world.run(lambda tx: tx.insert(ann(email="other")))


def test_put_replaces_and_moves_entries(world: World) -> None:
    """After a put the old values are found nowhere, the new ones everywhere."""
    world.run(lambda tx: tx.insert(ann(name="Ann")))
    world.run(lambda tx: tx.put(ann(name="Anna", email="anna@x.org")))
    tx = world.begin()
    assert tx.fetch_by(User.by_email, "ann@x.org") is None
    assert [one.id for one in tx.query(User.by_name, "Anna")] == ["ann"]
    assert tx.query(User.by_name, "Ann").items == []
    assert world.wrong() == []


def test_patch_changes_some_fields(world: World) -> None:
    """The other fields stay, and the answer is the new record."""
    world.run(lambda tx: tx.insert(ann(name="Ann")))
    patched = world.run(lambda tx: tx.patch(User, "ann", name="Anna"))
    assert (patched.name, patched.email) == ("Anna", "ann@x.org")
    assert world.begin().fetch(User, "ann") == patched


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"nmae": "x"}, "User has no field 'nmae'; it has id, email, name, joined, version"),
        ({"id": "bob"}, r"User.id is part of the key: insert\(\) the record under its new key"),
        ({"name": 5}, "User.name: 5 of type int does not fit str"),
        ({"joined": "today"}, "User.joined: 'today' of type str does not fit datetime"),
    ],
)
def test_patch_refuses_what_does_not_fit(
    world: World, changes: dict[str, Any], refusal: str
) -> None:
    """Unknown fields, key fields and values of a wrong type are named."""
    world.run(lambda tx: tx.insert(ann()))
    with pytest.raises(InvalidValue, match=refusal):
        world.run(lambda tx: tx.patch(User, "ann", **changes))


def test_what_is_not_there(world: World) -> None:
    """Reads answer None, remove answers None, patch and require raise."""
    tx = world.begin()
    assert tx.fetch(User, "ann") is None
    assert tx.remove(User, "ann") is None
    assert tx.fetch_by(User.by_email, "ann@x.org") is None
    assert tx.total(Item.worth, "nowhere") == 0
    with pytest.raises(RecordNotFound, match="User 'ann' does not exist"):
        tx.require(User, "ann")
    with pytest.raises(RecordNotFound, match=r"Item \('s', 1\) does not exist"):
        tx.patch(Item, "s", 1, title="x")


def test_a_unique_violation_names_the_record_in_the_way(world: World) -> None:
    """By insert, put and patch; through plain and clustered indexes; and nothing is written."""
    world.run(lambda tx: tx.insert(ann()))
    for write in (
        lambda tx: tx.insert(User(id="bob", email="ann@x.org")),
        lambda tx: tx.put(User(id="bob", email="ann@x.org")),
    ):
        with pytest.raises(
            UniqueViolation, match=r"User 'ann' holds email='ann@x.org' already, and User.by_email"
        ):
            world.run(write)
    world.run(lambda tx: tx.insert(Item(shop="s", id=1, title="a")))
    world.run(lambda tx: tx.insert(Item(shop="s", id=2, title="b")))
    with pytest.raises(UniqueViolation, match=r"Item \('s', 1\) holds shop='s', title='a'"):
        world.run(lambda tx: tx.patch(Item, "s", 2, title="a"))
    assert world.begin().fetch(User, "bob") is None
    assert world.wrong() == []


def test_a_record_may_keep_its_unique_values(world: World) -> None:
    """A put or patch of the record that holds the values is no violation."""
    world.run(lambda tx: tx.insert(ann()))
    world.run(lambda tx: tx.put(ann(name="x")))
    assert world.run(lambda tx: tx.patch(User, "ann", name="y")).name == "y"


def test_unique_values_are_free_again_in_the_same_transaction(world: World) -> None:
    """Removed or changed, a record no longer stands in the way."""
    world.run(lambda tx: tx.insert(ann()))
    with world.begin() as tx:
        tx.patch(User, "ann", email="new@x.org")
        tx.insert(User(id="bob", email="ann@x.org"))
        tx.remove(User, "ann")
        tx.insert(User(id="cid", email="new@x.org"))
    assert world.wrong() == []


def test_a_partial_unique_index_frees_values(world: World) -> None:
    """Records outside of the condition neither hold values nor are found by the index."""
    world.run(lambda tx: tx.insert(Item(shop="s", id=1, title="a", sold=True)))
    world.run(lambda tx: tx.insert(Item(shop="s", id=2, title="a")))
    tx = world.begin()
    assert [one.id for one in tx.query(Item.by_title, "s")] == [2]
    with pytest.raises(UniqueViolation):
        world.run(lambda tx: tx.patch(Item, "s", 1, sold=False))


def test_versions_change_with_every_write(world: World) -> None:
    """A version is rising, is what the record says, and survives remove and insert."""
    first = world.run(lambda tx: tx.insert(ann()))
    second = world.run(lambda tx: tx.put(first))
    assert 0 < first.version < second.version
    world.run(lambda tx: tx.remove(User, "ann"))
    third = world.run(lambda tx: tx.insert(ann()))
    assert third.version > second.version
    assert world.begin().fetch(User, "ann") == third


def test_if_version_refuses_an_older_view(world: World) -> None:
    """Put, patch and remove go through with the stored version only; 0 means: not there."""
    first = world.run(lambda tx: tx.put(ann(), if_version=0))
    second = world.run(lambda tx: tx.patch(User, "ann", if_version=first.version, name="2"))
    for write in (
        lambda tx: tx.put(ann(), if_version=first.version),
        lambda tx: tx.put(ann(), if_version=0),
        lambda tx: tx.patch(User, "ann", if_version=first.version, name="3"),
        lambda tx: tx.remove(User, "ann", if_version=first.version),
    ):
        with pytest.raises(VersionMismatch, match=f"User 'ann' has version {second.version}"):
            world.run(write)
    assert world.run(lambda tx: tx.remove(User, "ann", if_version=second.version)) == second
    with pytest.raises(VersionMismatch, match=r"does not exist \(version 0\), not 7"):
        world.run(lambda tx: tx.remove(User, "ann", if_version=7))
    with pytest.raises(SchemaError, match="Team keeps no versions: declare a field"):
        world.run(lambda tx: tx.put(Team(id=ONE, title="t"), if_version=0))


def test_associations_are_read_and_counted_from_both_ends(world: World) -> None:
    """Listings and counts from either end agree with what was written and removed."""
    with world.begin() as tx:
        for user, team in (("ann", ONE), ("ann", TWO), ("bob", ONE)):
            tx.put(Member(user=user, team=team))
    world.run(lambda tx: tx.put(Member(user="bob", team=ONE, role=Role.EDITOR)))
    tx = world.begin(read_only=True)
    assert [one.team for one in tx.query(Member.by_source, "ann")] == [ONE, TWO]
    assert [(m.user, m.role) for m in tx.query(Member.by_target, ONE)] == [
        ("ann", Role.READER),
        ("bob", Role.EDITOR),
    ]
    assert tx.count(Member.by_source, "ann") == tx.total(Member.source_count, "ann") == 2
    assert tx.count(Member.by_target, ONE) == tx.total(Member.target_count, ONE) == 2
    world.run(lambda tx: tx.remove(Member, "ann", ONE))
    assert world.begin().count(Member.by_target, ONE) == 1
    assert world.wrong() == []


def test_references_are_followed(world: World) -> None:
    """From one record and from many; to nothing where a column is None or the target is gone."""
    team = world.run(lambda tx: tx.insert(Team(id=ONE, title="t")))
    world.run(lambda tx: tx.insert(Item(shop="s", id=1)))
    world.run(lambda tx: tx.insert(Item(shop="s", id=2, title="b", parent=1)))
    tx = world.begin()
    members = [Member(user=user, team=id_) for user, id_ in (("a", ONE), ("b", TWO), ("c", ONE))]
    assert tx.follow(Member.target, members[0]) == team
    assert tx.follow_many(Member.target, members) == [team, None, team]
    second = tx.require(Item, "s", 2)
    first = tx.follow(Item.above, second)
    assert first is not None
    assert (first.id, tx.follow(Item.above, first)) == (1, None)


@pytest.mark.parametrize(
    ("record", "refusal"),
    [
        (User(id="a", email=5), "User.email: 5 of type int does not fit str"),  # type: ignore[arg-type]  # on purpose
        (User(id=b"a", email="e"), "User.id: b'a' of type bytes does not fit str"),  # type: ignore[arg-type]  # on purpose
        (Item(shop="s", id=True), "Item.id: True of type bool does not fit int"),
        (Item(shop="s", id=1, level=3), "Item.level: 3 of type int does not fit Level"),  # type: ignore[arg-type]  # on purpose
        (Item(shop="s", id=1, tags=["a", 5]), r"Item.tags: \['a', 5\] of type list"),  # type: ignore[list-item]  # on purpose
        (Item(shop="s", id=2**70), "Item.id: 1180591620717411303424 of type int"),
        (Item(shop="s", id=1, title="a\udc80"), r"Item.title: 'a\\udc80' .* os.fsencode"),
        (Item(shop="s", id=1, place={"street": "x"}), None),  # type: ignore[arg-type]  # msgspec converts it
    ],
)
def test_values_that_do_not_fit_are_refused(
    world: World, record: Entity, refusal: str | None
) -> None:
    """A refusal names the field, the value and the type; nothing is stored."""
    if refusal is None:
        world.run(lambda tx: tx.insert(record))
        return
    with pytest.raises(InvalidValue, match=refusal):
        world.run(lambda tx: tx.insert(record))
    assert world.begin().every(type(record)).items == []


def test_a_naive_datetime_is_refused_in_an_index(world: World) -> None:
    """What has no time zone has no place in an order of moments."""
    with pytest.raises(InvalidValue, match=r"Member.joined.*has no time zone"):
        world.run(
            lambda tx: tx.insert(
                Member(user="a", team=ONE, joined=datetime(2024, 1, 1))  # noqa: DTZ001 - the point
            )
        )


class Unknown(Entity, key="id"):
    """A class no database was told of."""

    id: int


WRONG_CALLS: list[tuple[Call, type[Exception], str]] = [
    (lambda tx: tx.fetch(User, 5), InvalidKey, "User.id: 5 of type int is not str"),
    (lambda tx: tx.fetch(User), InvalidKey, r"the key of User is \(id\); 0 values"),
    (lambda tx: tx.fetch(Item, "s"), InvalidKey, r"\(shop, id\); 1 values were given"),
    (lambda tx: tx.fetch(Item, "s", bool(1)), InvalidKey, "Item.id: True of type bool"),
    (lambda tx: tx.fetch(Member, "a", None), InvalidKey, "Member.team: None"),  # type: ignore[arg-type]  # on purpose
    (lambda tx: tx.fetch_many(Item, ["s"]), InvalidKey, "1 values were given"),
    (lambda tx: tx.fetch(User, "\udc80"), InvalidKey, "User.id: .*surrogate"),
    (lambda tx: tx.fetch_by(User.by_name, "x"), InvalidOption, "User.by_name is not unique"),
    (lambda tx: tx.fetch_by(Item.by_title, "s"), InvalidOption, "takes a value for each"),
    (lambda tx: tx.total(Item.worth), InvalidKey, r"kept per \(shop\), 0 values"),
    (lambda tx: tx.fetch(Unknown, 1), SchemaError, "Unknown is not registered"),
    (lambda tx: tx.query(Unknown.by_key, 1), SchemaError, r"call db.use\(Unknown\)"),
    (lambda tx: tx.insert("text"), SchemaError, "str'> is not a record class"),  # type: ignore[type-var]  # on purpose
    (lambda tx: tx.query("User.by_name"), SchemaError, "is not an index, such as"),  # type: ignore[arg-type]  # on purpose
    (lambda tx: tx.follow(Member.by_time, None), SchemaError, "is not a Reference"),  # type: ignore[arg-type, type-var]  # on purpose
]


@pytest.mark.parametrize(("call", "error", "refusal"), WRONG_CALLS)
def test_wrong_calls_are_refused(
    world: World, call: Call, error: type[Exception], refusal: str
) -> None:
    """Keys, indexes and classes that do not fit are named, with what would."""
    with pytest.raises(error, match=refusal):
        call(world.begin())


def test_concurrent_writers_of_one_unique_value_conflict(world: World) -> None:
    """Two transactions that both saw a value free do not both commit."""
    one, other = world.begin(), world.begin()
    one.insert(ann())
    other.insert(User(id="bob", email="ann@x.org"))
    one.commit()
    with pytest.raises(Conflict):
        other.commit()
    with pytest.raises(UniqueViolation):
        world.run(lambda tx: tx.insert(User(id="bob", email="ann@x.org")))


def test_totals_do_not_make_writers_conflict(world: World) -> None:
    """Two inserts into one group commit, whichever came first; a reader of the total conflicts."""
    one, other, reader = world.begin(), world.begin(), world.begin()
    one.insert(Item(shop="s", id=1, title="a", price=1))
    other.insert(Item(shop="s", id=2, title="b", price=2))
    assert reader.total(Item.worth, "s") == 0
    reader.insert(Item(shop="t", id=1))
    one.commit()
    other.commit()
    assert world.begin().total(Item.worth, "s") == 3
    with pytest.raises(Conflict):
        reader.commit()


def test_a_query_is_validated_against_phantoms(world: World) -> None:
    """A record that appears in what was listed makes the lister conflict; a snapshot does not."""
    strict, loose = world.begin(), world.begin()
    assert strict.query(Item.by_title, "s").items == []
    assert loose.query(Item.by_title, "s", snapshot=True).items == []
    for tx, id_ in ((strict, 8), (loose, 9)):
        tx.insert(Item(shop="t", id=id_, title=f"{id_}"))
    world.run(lambda tx: tx.insert(Item(shop="s", id=1)))
    loose.commit()
    with pytest.raises(Conflict):
        strict.commit()


def test_the_past_is_read_by_index(world: World) -> None:
    """A transaction at a past timestamp lists, counts and fetches what was there then."""
    world.run(lambda tx: tx.insert(Item(shop="s", id=1, title="old", price=1)))
    then = world.site.now()
    world.run(lambda tx: tx.put(Item(shop="s", id=1, title="new", price=5)))
    past = world.begin(at=then)
    assert [one.title for one in past.query(Item.by_title, "s")] == ["old"]
    assert past.total(Item.worth, "s") == 1
    assert past.require(Item, "s", 1).title == "old"


def test_a_stored_key_can_be_watched(world: World) -> None:
    """`key_of` names the key that a change of the record writes."""
    world.run(lambda tx: tx.insert(ann()))
    key = world.begin().key_of(User, "ann")
    before = world.begin().unchecked_get(key)
    world.run(lambda tx: tx.patch(User, "ann", name="x", joined=NOON))
    assert world.begin().unchecked_get(key) != before
