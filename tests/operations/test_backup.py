"""Backup and restore: the copy is whole and verified, or it is refused."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastness.client import Database, open
from fastness.errors import FastnessError, ForeignStore, InvalidOption, StoreDamaged, StoreReadOnly
from fastness.operations import (
    Progress,
    backup,
    check,
    export_lines,
    import_lines,
    origin_of,
    read_manifest,
    restore,
    verify_backup,
)
from tests.operations.contents import contents, fill
from tests.operations.records import Employee, hire


@pytest.fixture
def original(tmp_path: Path) -> Iterator[Database]:
    """A database in a directory, with keys of every kind and typed records."""
    with open(f"file:{tmp_path / 'original'}") as database:
        hire(database, 20)
        fill(database, entries=100)
        yield database


def reopened(path: Path) -> Database:
    """A restored database."""
    return open(f"file:{path}")


def test_restored_is_what_was_backed_up(original: Database, tmp_path: Path) -> None:
    """A restored database holds exactly what the original held, and works."""
    made = backup(original, tmp_path / "backup")
    expected = contents(original)
    original.set(b"after", b"the backup")
    restored = restore(tmp_path / "backup", tmp_path / "copy")
    assert restored.bytes == made.bytes
    with reopened(tmp_path / "copy") as copy:
        assert contents(copy) == expected
        copy.use(Employee)
        with copy.transaction() as tx:
            assert tx.count(Employee.by_team, "team 0") == 10
            tx.insert(Employee(id=100, name="new", team="team 0"))
        copy.set(b"written", b"to the copy")


def test_history_is_restored(original: Database, tmp_path: Path) -> None:
    """The past is backed up too: a restored database reads it as the original does."""
    before = original.now()
    original.set(b"greeting", b"changed")
    backup(original, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "copy")
    with reopened(tmp_path / "copy") as copy, copy.transaction(at=before) as tx:
        assert tx.get(b"greeting") == b"hello"


def test_a_copy_is_never_taken_for_the_original(original: Database, tmp_path: Path) -> None:
    """A restored database has its own identity and remembers where it came from."""
    made = backup(original, tmp_path / "backup")
    first = restore(tmp_path / "backup", tmp_path / "first")
    second = restore(tmp_path / "backup", tmp_path / "second")
    assert len({made.identity, first.identity, second.identity}) == 3
    assert origin_of(original.embedded.store) is None
    with reopened(tmp_path / "first") as copy:
        assert copy.stat().store.identity == first.identity
        assert origin_of(copy.embedded.store) == first.origin
        assert first.origin.identity == original.stat().store.identity


def test_writers_go_on_during_a_backup(original: Database, tmp_path: Path) -> None:
    """What is committed while files are digested is in the original alone."""
    expected = contents(original)

    def write(_progress: Progress) -> None:
        original.set(b"during", b"the backup")

    made = backup(original, tmp_path / "backup", progress=write)
    restore(tmp_path / "backup", tmp_path / "copy")
    assert original.get(b"during") is not None
    assert original.now() > made.timestamp
    with reopened(tmp_path / "copy") as copy:
        assert contents(copy) == expected


def test_a_backup_contains_what_its_timestamp_says(original: Database, tmp_path: Path) -> None:
    """Everything acknowledged before the backup began is at or below its timestamp."""
    committed = original.set(b"last", b"1")
    made = backup(original, tmp_path / "backup")
    assert made.timestamp >= committed
    assert read_manifest(tmp_path / "backup").timestamp == made.timestamp


def test_verify_finds_nothing_wrong(original: Database, tmp_path: Path) -> None:
    """A backup as it was written verifies, with progress over all of its bytes."""
    backup(original, tmp_path / "backup")
    seen: list[Progress] = []
    manifest, findings = verify_backup(tmp_path / "backup", progress=seen.append)
    assert findings == ()
    assert seen[-1] == Progress("verifying", manifest.bytes, manifest.bytes, "bytes")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # The original has the same file: a link to it must not be changed.
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1])


@pytest.mark.parametrize("name", ["FASTNESS", "HIGHWATER", "tables/CURRENT", "*.sst", "MANIFEST-*"])
@pytest.mark.parametrize("damage", [_flip, _truncate, Path.unlink])
def test_a_damaged_backup_is_refused(
    original: Database, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    """Any file changed, cut or missing is named by verify and refused by restore."""
    backup(original, tmp_path / "backup")
    store = tmp_path / "backup" / "store"
    path = next(found for found in sorted(store.rglob(name.rpartition("/")[2])))
    damage(path)
    _manifest, findings = verify_backup(tmp_path / "backup")
    assert [finding.place for finding in findings] == [path.relative_to(store).as_posix()]
    with pytest.raises(StoreDamaged, match=r"is damaged: .*Use another backup"):
        restore(tmp_path / "backup", tmp_path / "copy")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["backup", "original"]


def test_a_stranger_in_a_backup_is_refused(original: Database, tmp_path: Path) -> None:
    """A file that was added to a backup is not restored along."""
    backup(original, tmp_path / "backup")
    (tmp_path / "backup" / "store" / "tables" / "999999.log").write_bytes(b"")
    _manifest, findings = verify_backup(tmp_path / "backup")
    assert [finding.what for finding in findings] == ["was added later"]
    with pytest.raises(StoreDamaged, match="was added later"):
        restore(tmp_path / "backup", tmp_path / "copy")


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_cut_manifest_is_refused(original: Database, tmp_path: Path, cut: int) -> None:
    """A manifest cut anywhere is damage."""
    backup(original, tmp_path / "backup")
    path = tmp_path / "backup" / "backup.json"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StoreDamaged, match="se another backup"):
        restore(tmp_path / "backup", tmp_path / "copy")


def test_an_edited_manifest_is_refused(original: Database, tmp_path: Path) -> None:
    """A manifest that reads well but is not as it was written is damage too."""
    backup(original, tmp_path / "backup")
    path = tmp_path / "backup" / "backup.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"][0]["path"] = "../../escaped"
    path.write_text(json.dumps(manifest))
    with pytest.raises(StoreDamaged, match="was changed since it was written"):
        restore(tmp_path / "backup", tmp_path / "copy")


def test_a_later_format_is_told_apart(original: Database, tmp_path: Path) -> None:
    """A backup of a later format is foreign, not damaged."""
    backup(original, tmp_path / "backup")
    path = tmp_path / "backup" / "backup.json"
    path.write_text('{"format": 2, "shards": []}')
    with pytest.raises(ForeignStore, match="format 2, this version reads 1"):
        restore(tmp_path / "backup", tmp_path / "copy")


def test_targets_that_exist_are_refused(original: Database, tmp_path: Path) -> None:
    """Nothing is ever written over: not a directory, not a file, not a dangling link."""
    backup(original, tmp_path / "backup")
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("directory", "file", "link", "original", "backup"):
        with pytest.raises(InvalidOption, match="exists already"):
            restore(tmp_path / "backup", tmp_path / name)
        with pytest.raises(InvalidOption, match="exists already"):
            backup(original, tmp_path / name)
    with pytest.raises(InvalidOption, match="no directory: create it first"):
        backup(original, tmp_path / "absent" / "backup")


def test_what_is_no_backup_is_refused(original: Database, tmp_path: Path) -> None:
    """A database, an empty directory and nothing at all are no backups."""
    (tmp_path / "empty").mkdir()
    for name in ("original", "empty", "nothing"):
        with pytest.raises(InvalidOption, match="no backup"):
            restore(tmp_path / name, tmp_path / "copy")
    assert original.get(b"greeting") == b"hello"


def test_databases_that_cannot_be_backed_up(original: Database, tmp_path: Path) -> None:
    """Memory has no files, and an inspected directory is somebody else's: both say so."""
    with open("memory:") as memory, pytest.raises(InvalidOption, match="export it instead"):
        backup(memory, tmp_path / "backup")
    with (
        open(f"file:{tmp_path / 'original'}", read_only=True) as inspected,
        pytest.raises(StoreReadOnly),
    ):
        backup(inspected, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    assert original.get(b"greeting") == b"hello"


class Stop(Exception):
    """The user had enough."""


def _stop(_progress: Progress) -> None:
    raise Stop


def test_an_interruption_leaves_nothing(original: Database, tmp_path: Path) -> None:
    """A backup or a restore that is stopped leaves no half of itself."""
    with pytest.raises(Stop):
        backup(original, tmp_path / "backup", progress=_stop)
    backup(original, tmp_path / "backup")
    with pytest.raises(Stop):
        restore(tmp_path / "backup", tmp_path / "copy", progress=_stop)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["backup", "original"]


def test_a_backup_survives_its_original(tmp_path: Path) -> None:
    """Links to the original's files keep them when the original is gone."""
    with open(f"file:{tmp_path / 'original'}") as database:
        fill(database, entries=100)
        expected = contents(database)
        backup(database, tmp_path / "backup")
    shutil.rmtree(tmp_path / "original")
    restore(tmp_path / "backup", tmp_path / "copy")
    with reopened(tmp_path / "copy") as copy:
        assert contents(copy) == expected
        assert check(copy).ok


def test_restored_timestamps_go_on(original: Database, tmp_path: Path) -> None:
    """Commits of a restored database are above everything the backup holds."""
    last = original.set(b"last", b"1")
    backup(original, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "copy")
    with reopened(tmp_path / "copy") as copy:
        assert copy.set(b"next", b"1") > last


def test_a_backup_is_readable_where_it_lies(original: Database, tmp_path: Path) -> None:
    """The store inside a backup can be inspected and exported without restoring it."""
    backup(original, tmp_path / "backup")
    before = {path: path.stat() for path in (tmp_path / "backup").rglob("*")}
    stream = io.BytesIO()
    with open(f"file:{tmp_path / 'backup' / 'store'}", read_only=True) as inspected:
        export_lines(inspected, stream)
        assert check(inspected).ok
    stream.seek(0)
    with open("memory:") as target:
        import_lines(target, stream)
        assert contents(target) == contents(original)
    assert verify_backup(tmp_path / "backup")[1] == ()
    assert before.keys() == {path: path.stat() for path in (tmp_path / "backup").rglob("*")}.keys()


def test_errors_of_the_system_are_typed(original: Database, tmp_path: Path) -> None:
    """A backup to a place that refuses it is a store error that names what was tried."""
    with pytest.raises(FastnessError):
        backup(original, tmp_path / ("x" * 300))
