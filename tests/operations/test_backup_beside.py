"""Backups beside a process that holds the directory and never stops writing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastness.client import Database, open
from fastness.errors import FastnessError, ForeignStore, StoreDamaged
from fastness.operations import Progress, backup_directory, check, restore, verify_backup
from tests.operations.busy_owner import acknowledged
from tests.operations.contents import contents, fill
from tests.operations.records import hire

BACKUPS = 8


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Path]:
    """A directory, `data`, that another process holds and writes to."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.operations.busy_owner", tmp_path / "data", tmp_path / "told"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield tmp_path / "data"
        process.stdin.close()
        assert process.wait() == 0


def _numbers(database: Database) -> int:
    """How many numbers there are, which must be those from 0 on, with what went along."""
    numbers = [key for key in contents(database) if key.startswith(b"number ")]
    assert numbers == [b"number %08d" % at for at in range(len(numbers))]
    for at in range(max(0, len(numbers) - 50), len(numbers)):
        value = database.get(b"rotated %02d" % (at % 50)) or b""
        assert value.rstrip(b"\x00") == b"%d" % at
    return len(numbers)


@pytest.mark.process
def test_backups_of_a_busy_directory(busy: Path, tmp_path: Path) -> None:
    """Each backup is one moment, holds what was acknowledged before, and checks out whole."""
    for turn in range(BACKUPS):
        told = acknowledged(tmp_path / "told")
        made = backup_directory(busy, tmp_path / f"backup {turn}")
        _manifest, findings = verify_backup(tmp_path / f"backup {turn}")
        assert findings == ()
        restore(tmp_path / f"backup {turn}", tmp_path / f"copy {turn}")
        with open(f"file:{tmp_path / f'copy {turn}'}") as copy:
            assert _numbers(copy) > told
            assert check(copy).findings == ()
            assert copy.now() > made.timestamp


def test_a_directory_nobody_holds(tmp_path: Path) -> None:
    """A closed database is backed up alike, and is not touched by it."""
    with open(f"file:{tmp_path / 'data'}") as database:
        hire(database, 20)
        fill(database, entries=100)
        expected = contents(database)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    seen: list[Progress] = []
    backup_directory(tmp_path / "data", tmp_path / "backup", progress=seen.append)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before
    assert [progress.stage for progress in seen if progress.done == progress.total]
    restore(tmp_path / "backup", tmp_path / "copy")
    with open(f"file:{tmp_path / 'copy'}") as copy:
        assert contents(copy) == expected


def test_an_owner_is_not_hindered(tmp_path: Path) -> None:
    """The process that has the directory open goes on; its newest commit is in the backup."""
    with open(f"file:{tmp_path / 'data'}") as owner:
        committed = owner.set(b"last", b"1")
        made = backup_directory(tmp_path / "data", tmp_path / "backup")
        assert made.timestamp >= committed
        owner.set(b"next", b"1")
    restore(tmp_path / "backup", tmp_path / "copy")
    with open(f"file:{tmp_path / 'copy'}") as copy:
        assert (copy.get(b"last"), copy.get(b"next")) == (b"1", None)


def test_what_is_no_database(tmp_path: Path) -> None:
    """An empty directory, a stranger's and none at all are refused, and nothing is made."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "file").write_text("mine")
    for name in ("empty", "stranger", "absent"):
        with pytest.raises(ForeignStore):
            backup_directory(tmp_path / name, tmp_path / "backup")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty", "stranger"]


def test_a_log_cut_short_is_not_backed_up(tmp_path: Path) -> None:
    """A database that lost the end of its log is refused: a backup would hide the loss."""
    with open(f"file:{tmp_path / 'data'}") as owner:
        for at in range(100):
            owner.set(b"key %d" % at, b"1")
        (log,) = (tmp_path / "data" / "tables").glob("*.log")
        whole = log.read_bytes()
        cut = tmp_path / "cut"
        backup_directory(tmp_path / "data", tmp_path / "backup")
        (tmp_path / "backup" / "store").rename(cut)
    (log,) = (cut / "tables").glob("*.log")
    log.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreDamaged, match="cut off or missing"):
        backup_directory(cut, tmp_path / "of the cut")
    assert not (tmp_path / "of the cut").exists()


def test_a_copy_stopped_half_way(tmp_path: Path) -> None:
    """Nothing is left of a backup that was stopped."""

    def stop(_progress: Progress) -> None:
        raise KeyboardInterrupt

    with open(f"file:{tmp_path / 'data'}") as owner:
        owner.set(b"key", b"1")
        with pytest.raises(KeyboardInterrupt):
            backup_directory(tmp_path / "data", tmp_path / "backup", progress=stop)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]
    with pytest.raises(FastnessError):
        restore(tmp_path / "backup", tmp_path / "copy")
