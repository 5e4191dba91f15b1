"""The export format: every bytes value survives, every change of a file is noticed."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.client import Database
from fastness.encoding.timestamps import to_datetime
from fastness.errors import (
    FastnessError,
    ForeignStore,
    InvalidEncoding,
    LimitExceeded,
    StoreDamaged,
)
from fastness.limits import Limits
from fastness.operations import export_lines
from fastness.operations.lines import Entry, Header, LineReader, LineWriter
from tests.operations.contents import fill

HEADER = Header(
    fastness_export=1, id="1", identity="2", timestamp=3, taken=to_datetime(4), records=False
)


def written(entries: list[Entry]) -> bytes:
    """A complete export of these entries."""
    stream = io.BytesIO()
    writer = LineWriter(stream, HEADER)
    writer.write(entries)
    writer.finish()
    return stream.getvalue()


def read(data: bytes) -> list[Entry]:
    """Its entries, everything checked."""
    return list(LineReader(io.BytesIO(data), Limits()))


@given(
    st.dictionaries(
        st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode)).filter(
            lambda key: key < b"\xff\xff"
        ),
        st.tuples(
            st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode)),
            st.one_of(st.none(), st.integers(1, (1 << 63) - 1)),
        ),
    )
)
def test_round_trip(entries: dict[bytes, tuple[bytes, int | None]]) -> None:
    """Any keys, values and expiries come back as they were."""
    ordered = [Entry(key, *entries[key]) for key in sorted(entries)]
    assert read(written(ordered)) == ordered


def test_every_line_is_json(source: Database) -> None:
    """Each line is a JSON object by itself, and readable text is a plain string."""
    fill(source, entries=3)
    stream = io.BytesIO()
    export_lines(source, stream)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[0]["fastness_export"] == 1
    assert lines[0]["records"] is True
    assert {"key": "greeting", "value": "hello"} in lines
    assert lines[-1]["entries"] == len(lines) - 2


def sample() -> bytes:
    """An export with one entry of each form."""
    return written([Entry(b"a", b"1"), Entry(b"b\x00", b"\xff", 7), Entry(b"c", b"")])


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    """No single changed byte gives other entries or passes unnoticed, but in the line's end."""
    original = sample()
    at = data.draw(st.integers(0, len(original) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[at]))
    changed = original[:at] + bytes((value,)) + original[at + 1 :]
    with pytest.raises(FastnessError):
        read(changed)


def test_every_cut_is_noticed() -> None:
    """A file cut short anywhere is refused, at the end of a line too."""
    original = sample()
    for length in range(len(original)):
        with pytest.raises((StoreDamaged, InvalidEncoding)):
            read(original[:length])


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    """Bytes that are no export raise a typed error, whatever they are."""
    with pytest.raises(FastnessError):
        read(noise)
    with pytest.raises(FastnessError):
        read(sample().splitlines(keepends=True)[0] + noise)


def test_damage_names_its_line() -> None:
    """The error says which line is wrong and what to do."""
    lines = sample().splitlines(keepends=True)
    lines[2] = b'{"key":"b","value":17}\n'
    with pytest.raises(StoreDamaged, match=r"line 3: .*use another export"):
        read(b"".join(lines))


def test_order_is_checked() -> None:
    """Entries out of order are refused even where the digest agrees."""
    with pytest.raises(StoreDamaged, match="line 3: key b'a' does not come after"):
        read(written([Entry(b"b", b""), Entry(b"a", b"")]))


def test_another_format_is_told_apart() -> None:
    """An export of a later format says so instead of calling itself damaged."""
    later = sample().replace(b'"fastness_export":1', b'"fastness_export":2,"new":1')
    with pytest.raises(ForeignStore, match="format 2, this version reads 1"):
        read(later)


def test_limits_are_checked_by_line() -> None:
    """A key or value beyond the target's limits is refused with its line."""
    limits = replace(Limits(), value_bytes=3)
    with pytest.raises(LimitExceeded, match="line 2: 4 bytes exceed value_bytes=3"):
        list(LineReader(io.BytesIO(written([Entry(b"a", b"1234")])), limits))
