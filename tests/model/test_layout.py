"""Where records lie, byte for byte: what `docs/KEYS.md` shows, and that partitions are whole."""

from __future__ import annotations

import re
from pathlib import Path

import fastness
from fastness.model import Count, Entity, Index, Sum, desc
from fastness.model.layout import RECORDS, SCHEMA_VERSION_KEY, place_of
from tests.model.world import World

PAGE = Path(fastness.__file__).parents[2] / "docs" / "KEYS.md"


class File(Entity, key=("space", "id"), partition="space"):
    """The class of the page."""

    space: int
    id: int
    folder: int
    name: str
    size: int = 0
    by_name = Index("space", "folder", "name", unique=True, clustered=True)
    largest = Index("space", desc("size"))
    by_size = Index("size")
    bytes_used = Sum("size", "space")


class Note(Entity, key=("space", "id"), partition="space"):
    """Another kind of the same area."""

    space: int
    id: int
    notes = Count("space")


def rows(world: World) -> list[tuple[bytes, bytes]]:
    """Every key of records."""
    return world.begin().unchecked_scan(RECORDS, b"\xff\x02", 1_000, reverse=False)[0]


def test_the_page_shows_what_is_stored() -> None:
    """Every key of the example, and each value as far as it is written out."""
    table = PAGE.read_text(encoding="utf-8").partition("is stored as")[2].partition("\nFields")[0]
    shown = dict(re.findall(r"^\| \w+ \| `([0-9a-f ]+)` \| (.+) \|$", table, re.MULTILINE))
    with World(File) as world:
        world.run(lambda tx: tx.insert(File(space=7, id=300, folder=2, name="a", size=5)))
        stored = {key.hex(" "): value for key, value in rows(world)}
        record = world.begin().unchecked_get(world.begin().key_of(File, 7, 300))
    assert set(shown) == set(stored)
    for key, text in shown.items():
        if text == "the record":
            assert stored[key] == record
        else:
            assert stored[key].hex(" ").startswith(text.strip("`").removesuffix(" ..."))


def test_a_partition_is_contiguous() -> None:
    """Records, entries and totals of one partition, of all kinds of its area, lie together."""
    with World(File, Note) as world:
        with world.begin() as tx:
            for space in (3, 1, 2):
                for id_ in (1, 2):
                    tx.insert(File(space=space, id=id_, folder=1, name=f"{id_}", size=id_))
                    tx.insert(Note(space=space, id=id_))
        area = world.schema.plan(File).place
        local = [key for key, _value in rows(world) if key.startswith(area.head)]
        partitions = [area.partition_of(key) for key in local]
        assert partitions == sorted(partitions)
        assert len(set(partitions)) == 3
        assert len(local) == 3 * (2 * 3 + 1 + 2 + 1)
        assert world.schema.plan(Note).place.head == area.head


def test_places_are_read_back() -> None:
    """The partition of a key is found whatever follows it."""
    place = place_of(4, 2, 9)
    partition = b"\x02a\x00\x15\x05"
    assert place.table_of(partition) == b"\xff\x01\x15\x04" + partition + b"\x15\x09"
    assert place.partition_of(place.table_of(partition) + b"\x02rest\x00") == partition
    assert SCHEMA_VERSION_KEY == b"\xff\x02\x02version\x00"
