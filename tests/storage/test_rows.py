"""Cells and rows as bytes: order kept, round trips exact, every decoder fuzzed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.intervals import KeyInterval, prefix_end, successor
from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import StoreDamaged
from fastness.invariants import InvariantViolation
from fastness.storage import MemoryStore, cells, layout
from fastness.storage.layout import LogEntry, RangeRow
from fastness.storage.rocksdb.high_water import SLOT_BYTES, HighWater, decode_notes, encode_note
from tests.storage.homes import RANGE, Writer, commit

timestamps = st.integers(0, TIMESTAMP_MAX)
keys = st.lists(st.sampled_from([b"\x00", b"\x01", b"\xff", b"a"]), max_size=5).map(b"".join)


@given(timestamps, st.binary(max_size=20), timestamps)
def test_plain_cells_round_trip(timestamp: int, value: bytes, at: int) -> None:
    """A plain cell keeps its timestamp and value, and its bound tells who sees it."""
    cell = cells.plain(timestamp, value)
    assert (cells.timestamp_of(cell), cells.value_of(cell)) == (timestamp, value)
    assert cells.expiry_of(cell) == 0
    assert cells.value_at(cell, TIMESTAMP_MAX) == value
    if at < TIMESTAMP_MAX:
        assert (cell < cells.bound(at)) == (timestamp <= at)


@given(timestamps, timestamps, st.binary(max_size=20), timestamps)
def test_expiring_cells_round_trip(timestamp: int, expires: int, value: bytes, at: int) -> None:
    """An expiring cell keeps its expiry, is seen only before it, and never takes the short way."""
    cell = cells.expiring(timestamp, expires, value)
    found = (cells.timestamp_of(cell), cells.expiry_of(cell), cells.value_of(cell))
    assert found == (timestamp, expires, value)
    assert cells.value_at(cell, at) == (value if at < expires else None)
    assert not cell < cells.bound(TIMESTAMP_MAX - 1)


@given(timestamps, timestamps, st.binary(max_size=3), timestamps, timestamps)
def test_what_pruning_takes_nobody_would_see(
    timestamp: int, expires: int, value: bytes, horizon: int, later: int
) -> None:
    """A cell that does not last was committed at or below the horizon and shows nothing above."""
    cell = cells.expiring(timestamp, expires, value)
    if cells.lasting(cell, horizon) is None:
        assert timestamp <= horizon
        assert cells.value_at(cell, horizon) is None
        assert cells.value_at(cell, max(horizon, later)) is None
    else:
        assert max(timestamp, expires) > horizon or cells.gone_from(cell) == 0
    plain = cells.plain(timestamp, value)
    assert cells.lasting(plain, horizon) == plain
    assert (cells.gone_from(plain), cells.lasting(None, horizon)) == (0, None)


@given(keys, timestamps, keys, timestamps)
def test_history_rows_sort_by_key_then_end(
    one: bytes, one_end: int, two: bytes, two_end: int
) -> None:
    """History rows are ordered as their keys are, versions of a key by when they ended."""
    rows = layout.history_row(one, one_end), layout.history_row(two, two_end)
    assert (rows[0] < rows[1]) == ((one, one_end) < (two, two_end))
    assert layout.split_history_row(rows[0]) == (one, one_end)


@given(keys, timestamps, keys)
def test_history_bounds_hold_one_keys_rows(key: bytes, ended: int, other: bytes) -> None:
    """The bounds of a key's history hold its rows and nobody else's; intervals likewise."""
    row = layout.history_row(key, ended)
    assert layout.history_begin(key) <= row < layout.history_end(key)
    assert (layout.history_begin(other) <= row < layout.history_end(other)) == (key == other)
    assert row.startswith(layout.history_prefix(key))
    for interval in (
        KeyInterval(other, successor(other)),
        KeyInterval(other, prefix_end(other)),
        KeyInterval(b"", other),
    ):
        assert layout.history_interval(interval).contains(row) == interval.contains(key)


key_lists = st.lists(keys, max_size=3)


@given(timestamps, st.integers(0, 2**63), key_lists, key_lists, key_lists)
def test_log_rows_round_trip(
    timestamp: int,
    range_id: int,
    fresh: list[bytes],
    replaced: list[bytes],
    deleted: list[bytes],
) -> None:
    """A log row keeps what a commit wrote."""
    row, value = layout.log_row(timestamp, range_id), layout.log_value(fresh, replaced, deleted)
    entry = layout.log_entry(row, value)
    assert entry == LogEntry(timestamp, range_id, fresh, replaced, deleted)
    assert entry.ended == replaced + deleted


numbers = st.integers(0, 2**63)
pairs = st.tuples(numbers, numbers).map(sorted)
timestamp_pairs = st.tuples(timestamps, timestamps).map(sorted)


@given(numbers, pairs, timestamp_pairs, timestamps, numbers)
def test_range_rows_round_trip(
    epoch: int, batches: list[int], commits: list[int], horizon: int, range_id: int
) -> None:
    """A state row keeps what a store knows of a range."""
    (skipped, number), (committed, applied) = batches, commits
    row = RangeRow(epoch, number, applied, horizon, skipped, committed)
    assert layout.decode_range_value(layout.range_value(row)) == row
    assert layout.decode_range_id(layout.range_row(range_id)) == range_id


@given(timestamps, keys, timestamps, keys)
def test_expiry_rows_sort_by_when_nobody_sees_them(
    one: int, key: bytes, two: int, other: bytes
) -> None:
    """Rows of expiry are ordered by their moment first, and give back moment and key."""
    rows = layout.expiry_row(one, key), layout.expiry_row(two, other)
    assert (rows[0] < rows[1]) == ((one, key) < (two, other))
    assert layout.split_expiry_row(rows[0]) == (one, key)
    if one < TIMESTAMP_MAX:
        assert rows[0] < layout.expiry_row(one + 1, b"")


@given(numbers, st.binary(max_size=20), numbers, st.binary(max_size=20))
def test_record_rows_round_trip(one: int, name: bytes, two: int, other: bytes) -> None:
    """A record's row keeps its range and name; each range's rows lie apart, by name."""
    row = layout.record_row(one, name)
    assert layout.split_record_row(row) == (one, name)
    assert layout.record_rows(one).contains(row)
    beside = layout.record_row(two, other)
    assert layout.record_rows(one).contains(beside) == (one == two)
    assert (row < beside) == ((one, name) < (two, other))
    assert not layout.RANGE_ROWS.contains(row)


entries = st.builds(LogEntry, timestamps, numbers, key_lists, key_lists, key_lists)


@given(entries, keys, keys)
def test_log_rows_part_at_an_interval(entry: LogEntry, one: bytes, two: bytes) -> None:
    """What lies inside an interval and what lies outside are together the whole entry."""
    row = layout.log_row(entry.timestamp, entry.range_id)
    assert layout.log_timestamp(row) == entry.timestamp
    interval = KeyInterval(min(one, two), max(one, two))
    outside = layout.log_without(entry, interval)
    below, above = KeyInterval(b"", interval.begin), KeyInterval(interval.end, b"\xff" * 9)
    inside = layout.log_without(LogEntry(0, 0, *layout.log_without(entry, below)), above)
    whole = (entry.fresh, entry.replaced, entry.deleted)
    for kept, taken, keys_of in zip(outside, inside, whole, strict=True):
        assert sorted(kept + taken) == sorted(keys_of)
        assert not any(interval.contains(key) for key in kept)


def test_log_rows_of_two_parts_are_united() -> None:
    """Two parts of a transaction in one row list the keys of both, and never one key twice."""
    row = layout.log_row(5, 1)
    one = layout.log_value([b"a"], [b"b"], [])
    two = layout.log_value([b"c"], [], [b"d"])
    united = layout.log_entry(row, layout.log_union(row, one, two))
    assert united == LogEntry(5, 1, [b"a", b"c"], [b"b"], [b"d"])
    with pytest.raises(InvariantViolation):
        layout.log_union(row, one, one)


def decodes_or_refuses(decode: object, *data: object) -> None:
    """Hold a decoder to answering or raising `StoreDamaged`."""
    assert callable(decode)
    try:
        decode(*data)
    except StoreDamaged:
        return


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_decode_or_are_refused(one: bytes, two: bytes) -> None:
    """Every decoder of stored rows answers any bytes with a value or `StoreDamaged`."""
    decodes_or_refuses(layout.split_history_row, one)
    decodes_or_refuses(layout.log_entry, one, two)
    decodes_or_refuses(layout.log_entry, layout.log_row(1, 1), two)
    decodes_or_refuses(layout.decode_range_value, one)
    decodes_or_refuses(layout.decode_range_id, one)
    decodes_or_refuses(layout.split_record_row, one)
    decodes_or_refuses(layout.split_expiry_row, one)
    decodes_or_refuses(layout.split_record_row, b"s" + two)
    decodes_or_refuses(cells.timestamp_of, one)
    decodes_or_refuses(cells.expiry_of, one)
    decodes_or_refuses(cells.value_of, one)
    decodes_or_refuses(cells.value_at, one, 7)
    decodes_or_refuses(cells.gone_from, one)
    decodes_or_refuses(cells.lasting, one, 7)
    decodes_or_refuses(decode_notes, one + two, Path("HIGHWATER"))


@pytest.mark.parametrize(
    "row",
    [b"", b"a", b"a\x00", b"a\x00" + bytes(7), b"a\x01" + bytes(8), b"a\x00a\x00" + bytes(8)],
)
def test_malformed_history_rows_are_refused(row: bytes) -> None:
    """A history row without its key's end, its timestamp, or with a bare zero is refused."""
    with pytest.raises(StoreDamaged):
        layout.split_history_row(row)


def test_timestamps_out_of_range_are_refused() -> None:
    """A stored timestamp above 63 bits is damage."""
    with pytest.raises(StoreDamaged):
        layout.split_history_row(b"a\x00" + b"\xff" * 8)
    with pytest.raises(StoreDamaged):
        layout.decode_range_value(b"\xff" * 48)
    for malformed in (b"\xff" * 9, bytes(7)):
        with pytest.raises(StoreDamaged):
            layout.split_expiry_row(malformed)


@pytest.mark.parametrize(
    "row", [RangeRow(1, 5, 9, 0, 6, 9), RangeRow(1, 5, 9, 0, 0, 10), RangeRow(1, 5, 2**63, 0, 0, 9)]
)
def test_range_rows_that_contradict_themselves_are_refused(row: RangeRow) -> None:
    """A batch given up above the last number, or a commit above the last applied, is damage."""
    with pytest.raises(StoreDamaged):
        layout.decode_range_value(layout.range_value(row))


@pytest.mark.parametrize("row", [b"", b"s", b"s" + bytes(7), b"r" + bytes(8)])
def test_malformed_record_rows_are_refused(row: bytes) -> None:
    """A record's row without its range, or of another kind, is refused."""
    with pytest.raises(StoreDamaged):
        layout.split_record_row(row)


notes = st.tuples(st.integers(0, 2**63), st.integers(0, 2**31), st.integers(0, 2**40))


@given(notes, notes, st.integers(0, 2 * SLOT_BYTES - 1), st.integers(1, 255))
def test_one_torn_note_leaves_the_other(
    one: tuple[int, int, int], two: tuple[int, int, int], offset: int, change: int
) -> None:
    """A byte changed in one slot of the high water leaves the other slot's note."""
    content = bytearray(encode_note(*one) + encode_note(*two))
    assert decode_notes(bytes(content), Path()) == max(HighWater(*one), HighWater(*two))
    content[offset] ^= change
    allowed = {HighWater(*one), HighWater(*two)}
    assert decode_notes(bytes(content), Path()) in allowed


def hexadecimal(data: bytes) -> str:
    """Bytes as the page of keys shows them."""
    return data.hex(" ")


def test_the_page_of_keys_shows_these_rows() -> None:
    """The example in `docs/KEYS.md` is what a store writes for it."""
    store = MemoryStore()
    writer = Writer(store)
    writer.apply(commit(1, k="a"), commit(2, k="b"), commit(3, k=None))
    page = (Path(__file__).parents[2] / "docs" / "KEYS.md").read_text()
    shown = [
        *((layout.history_row(b"k", at), store.get(b"k", at - 1)) for at in (2, 3)),
        (layout.log_row(1, RANGE), layout.log_value([b"k"], [], [])),
        (layout.log_row(2, RANGE), layout.log_value([], [b"k"], [])),
        (layout.log_row(3, RANGE), layout.log_value([], [], [b"k"])),
    ]
    for row, value in shown:
        assert value is not None
        assert f"`{hexadecimal(row)}` | `{hexadecimal(value)}`" in page
