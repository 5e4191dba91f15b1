"""What a database holds, for comparing one with its copy; and a database worth copying."""

from __future__ import annotations

from random import Random

from fastness.client import Database
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.encoding.tuples import pack
from fastness.operations.spaces import COPIED
from fastness.storage import cells

Contents = dict[bytes, tuple[bytes, Timestamp]]
"""Key -> value and expiry, 0 for none."""

FAR_FUTURE: Timestamp = 1 << 62


def contents(database: Database, intervals: tuple[KeyInterval, ...] = COPIED) -> Contents:
    """Everything a copy must carry."""
    engine = database.embedded.engine
    at = engine.read_timestamp()
    found: Contents = {}
    for interval in intervals:
        for key, cell in engine.scan(interval, at, 1_000_000, reverse=False):
            value = cells.value_at(cell, at)
            if value is not None:
                found[key] = (value, cells.expiry_of(cell))
    return found


def fill(database: Database, *, entries: int, seed: int = 1) -> None:
    """Keys and values of every kind: text, tuples, any bytes, empty, expiring."""
    random = Random(seed)
    with database.transaction() as tx:
        for at in range(entries):
            tx.set(pack(("entry", at)), random.randbytes(random.randrange(40)))
        tx.set(b"", b"the empty key")
        tx.set(b"greeting", b"hello")
        tx.set("größe".encode(), "naïve ☃".encode())
        tx.set(b"lines\nand \x00 controls", b'quotes " and \\ backslashes')
        tx.set(b"empty", b"")
        tx.set(b"session", b"token", expires_at=FAR_FUTURE)
        tx.set(b"\xfe\xff", bytes(range(256)))
        tx.unchecked_set(b"\xff\x01record", b"typed")
        tx.unchecked_set(b"\xff\x01session", b"typed and expiring", FAR_FUTURE)
        tx.unchecked_set(b"\xff\x02kind", b"schema")


def fill_plain(database: Database, *, entries: int) -> None:
    """Keys and values only, nothing of the system space."""
    with database.transaction() as tx:
        for at in range(entries):
            tx.set(b"key %06d" % at, b"value %d" % at)
