"""Verification finds what rows say wrongly together, each planted below the store's own calls."""

from __future__ import annotations

import pytest
from rocksdict import AccessType

from fastness.encoding.intervals import KeyInterval
from fastness.storage import CommittedWrites, InspectedStore
from fastness.storage.cells import plain
from fastness.storage.layout import (
    Table,
    expiry_row,
    history_row,
    log_row,
    log_value,
    record_row,
)
from fastness.storage.rocksdb.engine import Tables
from fastness.storage.rocksdb.options import table_options
from tests.storage.homes import RANGE, SMALL, RocksHome, Writer, commit

Planted = list[tuple[Table, bytes, bytes | None]]

WRONG: dict[str, tuple[Planted, str]] = {
    "a cell cut short": ([(Table.NEWEST, b"a", b"\x00")], "cut short"),
    "a cell without its expiry": ([(Table.NEWEST, b"a", b"\x80" + bytes(9))], "cut short"),
    "a version lost": ([(Table.HISTORY, history_row(b"a", 3), None)], "which is gone"),
    "a newest version lost": ([(Table.NEWEST, b"b", None)], "b'b' was written at 2"),
    "a version nobody committed": ([(Table.NEWEST, b"z", plain(2, b""))], "not those stored"),
    "a version from the future": ([(Table.NEWEST, b"a", plain(9, b""))], "above what was applied"),
    "a history from the future": (
        [(Table.HISTORY, history_row(b"a", 9), plain(4, b""))],
        "above what was applied",
    ),
    "versions that overlap": ([(Table.NEWEST, b"a", plain(2, b""))], "before the one before"),
    "an old version that overlaps": (
        [(Table.HISTORY, history_row(b"a", 4), plain(1, b""))],
        "before the one before",
    ),
    "a version that ends first": (
        [(Table.HISTORY, history_row(b"c", 2), plain(3, b""))],
        "begins at 3, ends at 2",
    ),
    "an overwriting nobody logged": (
        [(Table.HISTORY, history_row(b"b", 4), plain(2, b"")), (Table.NEWEST, b"b", None)],
        "not those of the history",
    ),
    "a log row lost": ([(Table.LOG, log_row(3, RANGE), None)], "not those"),
    "a log row from the future": (
        [(Table.LOG, log_row(9, RANGE), log_value([], [], []))],
        "above what was applied",
    ),
    "a log row that is no log row": ([(Table.LOG, log_row(2, RANGE), b"x")], "cannot be decoded"),
    "a history row that is none": ([(Table.HISTORY, b"a", b"x")], "not an escaped key"),
    "a state row that is none": ([(Table.STATE, b"x", b"x")], "of no kind known"),
    "a record of no range": ([(Table.STATE, record_row(9, b"i"), b"")], "which is unknown"),
    "a record row that is none": ([(Table.STATE, b"s1", b"")], "does not name a record"),
    "a version that expires unseen": (
        [(Table.EXPIRY, expiry_row(7, b"e"), None)],
        "which no row tells",
    ),
    "an expiry row of nothing": ([(Table.EXPIRY, expiry_row(9, b"e"), b"")], "which is not so"),
    "an expiry row that is none": ([(Table.EXPIRY, b"a", b"")], "is not a timestamp and a key"),
    "a deleted key that lives": ([(Table.NEWEST, b"d", plain(2, b""))], "was deleted at 4"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_found(rocks_home: RocksHome, wrong: str) -> None:
    """Each planted contradiction is found and told; without it nothing is."""
    store = rocks_home.open()
    writer = Writer(store)
    writer.apply(commit(1, a="1", c="1", d="1"), commit(2, b="2"))
    writer.apply(commit(3, a="3"))
    writer.apply(commit(4, a="4", d=None))
    writer.apply(CommittedWrites(5, {b"e": b"5"}, expiries={b"e": 7}))
    assert store.verify() == []
    store.close()
    planted, told = WRONG[wrong]
    tables = Tables(rocks_home.path / "tables", table_options(SMALL), AccessType.read_write())
    tables.write_rows(planted)
    tables.close()
    inspected = InspectedStore.open(rocks_home.path, limits=SMALL)
    found = inspected.verify()
    inspected.close()
    assert any(told in damage.what for damage in found), found


def test_findings_are_bounded(rocks_home: RocksHome) -> None:
    """A store wrong throughout is told as such without filling the memory."""
    store = rocks_home.open()
    writer = Writer(store)
    for number in range(1, 4):
        writer.apply(commit(number, **{f"{number}-{n}": "x" for n in range(500)}))
    store.close()
    tables = Tables(rocks_home.path / "tables", table_options(SMALL))
    keys = [f"{number}-{n}".encode() for number in range(1, 4) for n in range(500)]
    tables.write_rows([(Table.NEWEST, key, b"") for key in keys])
    tables.close()
    store = rocks_home.open()
    assert len(store.verify()) == 1_000
    everything = KeyInterval(b"", b"\xff")
    assert len(store.scan_newest(everything, limit=5)) == 5
