"""The check finds what is wrong at every level, and nothing where nothing is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastness import Transaction
from fastness.client import Database, open
from fastness.operations import (
    Finding,
    Progress,
    backup,
    check,
    export_lines,
    import_lines,
    restore,
)
from tests.operations.contents import fill, fill_plain
from tests.operations.records import Employee, hire
from tests.operations.test_import import SMALL, Stop


@pytest.fixture(params=["memory", "file"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with records, on each store."""
    url = "memory:" if request.param == "memory" else f"file:{tmp_path / 'data'}"
    with open(url) as opened:
        hire(opened, 50)
        yield opened


def test_nothing_wrong(database: Database) -> None:
    """A sound database has no findings, and the check has read all of it."""
    database.set(b"plain", b"1")
    seen: list[Progress] = []
    report = check(database, progress=seen.append)
    assert report.ok
    assert report.identity == database.stat().store.identity
    assert report.rows > 150
    assert {progress.stage for progress in seen} == {"store", "records"}


def _break(database: Database, change: str) -> None:
    """Change what the typed layer keeps behind its back."""
    database.use(Employee)

    def body(tx: Transaction) -> None:
        plan = tx.schema.plan(Employee)
        key = tx.key_of(Employee, 7)
        record = tx.require(Employee, 7)
        entries = plan.entries(record, tx.unchecked_get(key) or b"", key)[0]
        counters = [counter for counter, _amount in plan.counted(record)]
        if change == "entry":
            tx.unchecked_delete(next(iter(entries)))
        elif change == "record":
            tx.unchecked_delete(key)
        elif change == "counter":
            tx.unchecked_add(counters[0], 1)
        elif change == "bytes":
            tx.unchecked_set(key, b"\x00")

    database.run(body)


@pytest.mark.parametrize(
    ("change", "place", "what"),
    [
        ("entry", "Employee.by_name", "an entry is missing"),
        ("record", "Employee.by_name", "an entry leads to no record"),
        ("counter", "Employee.in_team", "a counter is 26 and should be 25"),
        ("bytes", "Employee", "the record cannot be read"),
    ],
)
def test_broken_records_are_found(database: Database, change: str, place: str, what: str) -> None:
    """Index entries, records and counters that contradict each other are named by key."""
    _break(database, change)
    report = check(database)
    assert not report.ok
    assert {finding.part for finding in report.findings} == {"records"}
    assert any(
        finding.place == place and what in finding.what and "at key" in finding.what
        for finding in report.findings
    )


def test_an_unfinished_import_is_found() -> None:
    """A database that holds half an export says so until the import is finished."""
    stream = io.BytesIO()
    with open("memory:") as source:
        fill_plain(source, entries=500)
        export_lines(source, stream)
    stream.seek(0)

    def stop(progress: Progress) -> None:
        if progress.stage == "importing":
            raise Stop

    with open("memory:", limits=SMALL) as target:
        with pytest.raises(Stop):
            import_lines(target, stream, progress=stop)
        (finding,) = check(target).findings
        assert finding.part == "import"
        assert "stopped after 100 entries" in finding.what
        stream.seek(0)
        import_lines(target, stream)
        assert check(target).ok


def test_an_unreadable_schema_is_a_finding(database: Database) -> None:
    """A damaged registry row is reported, not raised."""

    def damage(tx: Transaction) -> None:
        (row, _value), *_ = tx.unchecked_scan(b"\xff\x02", b"\xff\x03", 1, False)[0]  # noqa: FBT003 - the signature of the layer
        tx.unchecked_set(row, b"\xc1")

    database.run(damage)
    assert [(one.part, one.place) for one in check(database).findings] == [("records", "schema")]


def test_damaged_files_are_found(tmp_path: Path) -> None:
    """A table file with a flipped bit is a finding of the store, in an inspected directory."""
    with open(f"file:{tmp_path / 'original'}") as database:
        fill(database, entries=2_000)
        backup(database, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "data")
    largest = max((tmp_path / "data").rglob("*.sst"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 3] ^= 0xFF
    largest.write_bytes(content)
    with open(f"file:{tmp_path / 'data'}", read_only=True) as inspected:
        report = check(inspected)
    assert not report.ok
    assert isinstance(report.findings[0], Finding)
    assert report.findings[0].part == "store"


def test_a_check_beside_its_owner(tmp_path: Path) -> None:
    """An inspected directory is checked while its owner has it open."""
    with open(f"file:{tmp_path / 'data'}") as owner:
        hire(owner, 10)
        with open(f"file:{tmp_path / 'data'}", read_only=True) as inspected:
            assert check(inspected).ok
        owner.set(b"still", b"mine")
