"""The typed records that are fetched and listed: files in folders of one space."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

import fastness
from benchmarks.workload import SEED, Entry
from fastness.encoding.intervals import SYSTEM_END, KeyInterval
from fastness.model import Entity, Index
from fastness.storage.cells import HEADER_BYTES

SPACE = 7
START = datetime(2024, 1, 31, tzinfo=UTC)
LOAD_RECORDS = 1_000
"""Records in one transaction of a load."""
COPY_ENTRIES = 10_000


class Node(Entity, key=("space", "id"), partition="space"):
    """A file, about 110 bytes as a record; listed by name with and without lookups."""

    space: int
    id: int
    folder: int
    name: str
    size: int
    owner: str
    modified: datetime
    by_name = Index("space", "folder", "name", unique=True, clustered=True)
    by_name_looked_up = Index("space", "folder", "name")


def nodes(count: int, folder_size: int) -> Iterator[Node]:
    """`count` nodes in folders 0, 1, ... of `folder_size`; their ids are random, but the same."""
    random = Random(SEED)
    for number in range(count):
        yield Node(
            space=SPACE,
            id=random.getrandbits(48),
            folder=number // folder_size,
            name=f"report-{number:07}.txt",
            size=random.randrange(1 << 30),
            owner=f"user-{random.randrange(1_000)}",
            modified=START + timedelta(seconds=number),
        )


def load_nodes(db: fastness.Database, count: int, folder_size: int) -> list[int]:
    """Insert the nodes, in ordinary transactions; answers their ids."""
    ids: list[int] = []
    rest = nodes(count, folder_size)
    while some := list(islice(rest, LOAD_RECORDS)):
        with db.transaction() as tx:
            for node in some:
                tx.insert(node)
        ids += [node.id for node in some]
    return ids


def everything(db: fastness.Database) -> Iterator[Entry]:
    """Every key and newest value of a database, to give a peer the very same bytes."""
    begin = b""
    while True:
        items = db.embedded.store.scan_newest(KeyInterval(begin, SYSTEM_END), limit=COPY_ENTRIES)
        yield from ((key, cell[HEADER_BYTES:]) for key, cell in items)
        if len(items) < COPY_ENTRIES:
            return
        begin = items[-1][0] + b"\x00"
