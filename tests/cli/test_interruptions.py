"""Ctrl-C, SIGTERM and readers that go away: a clean end, a code that says why, nothing lost."""

from __future__ import annotations

import io
import signal
import subprocess
from pathlib import Path

import pytest

import fastness
from fastness.operations import export_lines, import_mark
from tests.cli.commands import answer, run, start

pytestmark = pytest.mark.process

ENTRIES = 20_000


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """The directory of a database whose scan is longer than any pipe's buffer."""
    with fastness.open(f"file:{tmp_path / 'large'}") as database, database.transaction() as tx:
        for at in range(ENTRIES):
            tx.set(b"key %05d" % at, b"value %d" % at)
    return tmp_path / "large"


def _export(directory: Path) -> bytes:
    stream = io.BytesIO()
    with fastness.open(f"file:{directory}", read_only=True) as database:
        export_lines(database, stream)
    return stream.getvalue()


def _entries_imported(directory: Path) -> int:
    with fastness.open(f"file:{directory}", read_only=True) as database:
        mark = import_mark(database)
        return 0 if mark is None else mark.entries


def _wait_for_import(process: subprocess.Popen[bytes], directory: Path, entries: int) -> None:
    """Look until so many entries are in; the process is then waiting for more input."""
    assert process.stderr is not None
    assert b"created a new database" in process.stderr.readline()
    while _entries_imported(directory) < entries:
        assert process.poll() is None


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_an_interrupted_import(large: Path, sent: signal.Signals, code: int) -> None:
    """An import that is stopped says how far it came, and a second run completes it."""
    copy = large.parent / "copy"
    exported = _export(large)
    half = b"".join(exported.splitlines(keepends=True)[:10_000])
    with start("import", copy) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(half)
        process.stdin.flush()
        _wait_for_import(process, copy, 8_192)
        process.send_signal(sent)
        assert process.wait() == code
        told = process.stderr.read().decode()
    if sent is signal.SIGINT:
        assert "8,192 entries are imported: run it again to go on" in told
        assert "interrupted: what was committed before is durable" in told
    assert "Traceback" not in told
    assert answer("import", copy, stdin=exported)["written"] == ENTRIES - 8_192
    assert run("scan", copy).stdout == run("scan", large).stdout


def test_a_reader_that_goes_away(large: Path) -> None:
    """'fastness scan | head -1' ends quietly, with the code of a broken pipe."""
    with start("scan", large) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"key 00000\tvalue 0\n"
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b""


def test_an_export_whose_reader_goes_away(large: Path) -> None:
    """So does an export into a pipe."""
    with start("export", large, "-") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b""


def test_ctrl_c_in_a_script(tmp_path: Path) -> None:
    """What a shell script had committed before Ctrl-C is there afterwards."""
    with start("shell", tmp_path / "data") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"set a b\nget a\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"b\n"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert run("get", tmp_path / "data", "a").stdout == "b\n"


def test_a_terminated_backup_leaves_nothing(large: Path) -> None:
    """A backup ended by SIGTERM half-way removes what it had made."""
    with start("backup", large, large.parent / "backup") as process:
        while not list(large.parent.glob("backup.partial-*")) and process.poll() is None:
            pass
        process.send_signal(signal.SIGTERM)
        assert process.wait() in {143, 0}
    left = sorted(path.name for path in large.parent.iterdir())
    assert left in (["large"], ["backup", "large"])


def test_a_full_output(large: Path) -> None:
    """Output that cannot be written is an error of the store's kind, not a traceback."""
    with Path("/dev/full").open("wb") as full, start("scan", large, stdout=full) as process:
        _out, told = process.communicate()
    assert process.returncode == 3
    assert told.startswith(b"disk_full: ")
    assert told.count(b"\n") == 1
