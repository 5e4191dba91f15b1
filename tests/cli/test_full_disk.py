"""A disk that takes no more: one line of error, reads go on, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import PLAIN, run

pytestmark = pytest.mark.process

BLOCKS = 200
"""Of 512 or 1024 bytes, by shell: what a file may grow to, which is where this disk ends."""


def confined(*words: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command where no file can grow beyond the limit."""
    return subprocess.run(
        ["sh", "-c", f'ulimit -f {BLOCKS}; exec "$@"', "sh", sys.executable, "-m", "fastness.cli"]
        + [str(word) for word in words],
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, **PLAIN, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_no_room_for_a_database(tmp_path: Path) -> None:
    """A database that cannot even set its reserve aside is not created."""
    result = confined("set", tmp_path / "new", "a", "b")
    assert result.returncode == 3
    assert result.stderr.startswith(b"disk_full: ")
    assert result.stderr.count(b"\n") == 1


def test_no_room_for_a_value(data: Path) -> None:
    """A write that does not fit is an error in one line; everything before it is still there."""
    before = run("scan", data).stdout
    result = confined("set", data, "large", "-", stdin=os.urandom(1_000_000))
    assert result.returncode in {3, 6}
    assert result.stderr.count(b"\n") == 1
    assert b"Traceback" not in result.stderr
    assert run("scan", data).stdout == before
    assert run("check", data).exit_code == 0
    assert run("set", data, "small", "1").exit_code == 0


def test_no_room_for_copies(data: Path) -> None:
    """A backup, an export and a restore that do not fit leave nothing behind."""
    with (data.parent / "value").open("wb") as file:
        file.write(os.urandom(900_000))
    run("set", data, "large", "-", stdin=(data.parent / "value").read_bytes())
    run("backup", data, data.parent / "good")
    before = sorted(path.name for path in data.parent.iterdir())
    for words in (
        ("backup", data, data.parent / "copy"),
        ("export", data, data.parent / "copy"),
        ("restore", data.parent / "good", data.parent / "copy"),
    ):
        result = confined(*words)
        assert result.returncode == 3
        assert result.stderr.startswith(b"disk_full: ")
    assert sorted(path.name for path in data.parent.iterdir()) == before
