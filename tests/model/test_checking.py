"""The check of stored records finds what is planted, with the exact key, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.msgpack import encode

from fastness.encoding.counters import encode as encode_counter
from fastness.model import TypedOperations, findings, read_schema, rebuilt_schema
from fastness.model.layout import RECORDS, place_of
from tests.model.world import ONE, Item, Member, User, World


def filled(world: World) -> None:
    """A few records of several kinds."""
    with world.begin() as tx:
        for shop in ("s", "t"):
            for id_ in (1, 2, 3):
                tx.insert(Item(shop=shop, id=id_, title=f"t{id_}", price=id_, tags=["a", "b"]))
        tx.insert(User(id="ann", email="a@x"))
        tx.put(Member(user="ann", team=ONE))


def key_of(tx: TypedOperations) -> bytes:
    """The record that most plants damage."""
    return tx.key_of(Item, "s", 2)


def first_entry(tx: TypedOperations, index: str) -> tuple[bytes, bytes]:
    """The first entry of an index of `Item` in shop s."""
    plan = next(one for one in tx.schema.plan(Item).indexes if one.name == f"Item.{index}")
    begin, end = plan.interval(("s",) if plan.place.is_local else ())
    return tx.unchecked_scan(begin, end, 1, reverse=False)[0][0]


def lose_record(tx: TypedOperations) -> bytes:
    """A record goes, its entries stay."""
    tx.unchecked_delete(key_of(tx))
    return b""


def lose_entry(tx: TypedOperations) -> bytes:
    """An entry goes."""
    entry, _value = first_entry(tx, "by_price")
    tx.unchecked_delete(entry)
    return entry


def change_clustered(tx: TypedOperations) -> bytes:
    """A clustered entry holds an older record."""
    entry, value = first_entry(tx, "by_title")
    tx.unchecked_set(entry, value.replace(b"tags\x92\xa1a", b"tags\x92\xa1z"))
    return entry


def change_pointer(tx: TypedOperations) -> bytes:
    """An entry leads to another record."""
    entry, _value = first_entry(tx, "by_price")
    tx.unchecked_set(entry, tx.key_of(Item, "s", 1)[2:])
    return entry


def stray_entry(tx: TypedOperations) -> bytes:
    """An entry nobody implies."""
    entry, value = first_entry(tx, "by_price")
    tx.unchecked_set(entry + b"\x02x\x00", value)
    return entry + b"\x02x\x00"


def unreadable_entry(tx: TypedOperations) -> bytes:
    """A clustered entry that is no record."""
    entry, _value = first_entry(tx, "by_title")
    tx.unchecked_set(entry, b"\xc1")
    return entry


def change_total(tx: TypedOperations) -> bytes:
    """A counter is off by one."""
    counter = tx.schema.total(Item.worth).key(("s",))
    tx.unchecked_add(counter, 1)
    return counter


def lose_total(tx: TypedOperations) -> bytes:
    """A counter is gone."""
    counter = tx.schema.total(Item.items).key(("t",))
    tx.unchecked_delete(counter)
    return counter


def stray_total(tx: TypedOperations) -> bytes:
    """A counter of a group without records."""
    counter = tx.schema.total(Item.items).key(("nowhere",))
    tx.unchecked_set(counter, encode_counter(5))
    return counter


def unreadable_total(tx: TypedOperations) -> bytes:
    """A counter that is none."""
    counter = tx.schema.total(Item.items).key(("s",))
    tx.unchecked_set(counter, b"\x01")
    return counter


def unreadable_record(tx: TypedOperations) -> bytes:
    """A record that its class cannot read."""
    tx.unchecked_set(key_of(tx), encode({"shop": "s", "id": 2, "title": 5}))
    return key_of(tx)


def displaced_record(tx: TypedOperations) -> bytes:
    """A record under the key of another."""
    raw = tx.unchecked_get(key_of(tx))
    there = tx.key_of(Item, "s", 77)
    tx.unchecked_set(there, raw or b"")
    return there


def unknown_table(tx: TypedOperations) -> bytes:
    """Keys of a table nobody registered, in a partition and outside."""
    stray = place_of(0, 0, 999).table_of(b"") + b"\x14"
    tx.unchecked_set(stray, b"")
    return stray


def unknown_table_inside(tx: TypedOperations) -> bytes:
    """The same in a partition."""
    place = tx.schema.plan(Item).place
    stray = place._replace(number=b"\x16\x03\xe7").table_of(b"\x02s\x00") + b"\x14"
    tx.unchecked_set(stray, b"")
    return stray


PLANTS: list[tuple[Callable[[TypedOperations], bytes], str, str]] = [
    (lose_record, "Item.by_price", r"an entry leads to no record \(.*\)"),
    (lose_entry, "Item.by_price", "an entry is missing"),
    (change_clustered, "Item.by_title", "an entry holds another value than its record"),
    (change_pointer, "Item.by_price", r"an entry its record \(.*\) does not imply"),
    (stray_entry, "Item.by_price", r"an entry its record \(.*\) does not imply"),
    (unreadable_entry, "Item.by_title", "an entry cannot be read"),
    (change_total, "Item.worth", "a counter is 7 and should be 6"),
    (lose_total, "Item.items", "a counter is missing; it should be 3"),
    (stray_total, "Item.items", "a counter is 5 and should be 0"),
    (unreadable_total, "Item.items", "a counter cannot be read"),
    (unreadable_record, "Item", "the record cannot be read"),
    (displaced_record, "Item", "the record's fields say that it belongs elsewhere"),
    (unknown_table, "table 999", "the registry knows no kind, index or total there"),
    (unknown_table_inside, "table 999", "the registry knows no kind, index or total there"),
]


@pytest.mark.parametrize(("plant", "place", "what"), PLANTS)
def test_planted_damage_is_found(
    world: World, plant: Callable[[TypedOperations], bytes], place: str, what: str
) -> None:
    """By its place and key, with the declared classes and with rebuilt ones."""
    filled(world)
    assert world.wrong() == []
    with world.begin() as tx:
        key = plant(tx)
    rebuilt = world.begin(read_only=True)
    rebuilt.schema = rebuilt_schema(read_schema(world.begin(), world.limits))
    for tx in (world.begin(read_only=True), rebuilt):
        found = [one for one in findings(tx) if one.place == place]
        assert found
        assert any(key in ("", b"", one.key) for one in found)
        with pytest.raises(AssertionError, match=what):
            raise AssertionError([str(one) for one in found])


def test_the_check_leaves_no_conflict(world: World) -> None:
    """It reads a snapshot, beside writers."""
    filled(world)
    tx = world.begin()
    assert list(findings(tx)) == []
    world.run(lambda other: other.remove(Item, "s", 1))
    assert list(findings(tx)) == []
    tx.insert(Item(shop="u", id=1))
    tx.commit()


def test_finding_shows_the_key(world: World) -> None:
    """A finding is a line that can be acted on."""
    filled(world)
    with world.begin() as tx:
        entry = lose_entry(tx)
    (line,) = world.wrong()
    assert line == f"Item.by_price: an entry is missing, at key {entry!r}"
    assert entry.startswith(RECORDS)
