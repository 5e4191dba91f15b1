"""Beside a process that holds the directory: looking works, writing says who is in the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.commands import answer, failure, run, start

pytestmark = pytest.mark.process

HOLDER = """
import sys, fastness
with fastness.open("file:" + sys.argv[1]) as database:
    database.set(b"held", b"yes")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the database open, and has just committed to it."""
    environment = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, data],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


def test_looking(data: Path, holder: subprocess.Popen[bytes]) -> None:
    """Reads, stat, check, export and backup work, and see what was committed last."""
    assert run("get", data, "held").stdout == "yes\n"
    assert "held\tyes\n" in run("scan", data).stdout
    assert answer("stat", data)["held_by"]["pid"] == holder.pid
    assert answer("check", data)["ok"] is True
    assert '{"key":"held","value":"yes"}' in run("export", data).stdout
    answer("backup", data, data.parent / "backup")
    answer("restore", data.parent / "backup", data.parent / "copy")
    assert run("get", data.parent / "copy", "held").stdout == "yes\n"
    assert holder.poll() is None


@pytest.mark.parametrize("command", ["set", "delete", "import", "shell"])
def test_writing(data: Path, holder: subprocess.Popen[bytes], command: str) -> None:
    """Every write is refused with exit code 3 and names the process and the way out."""
    export = data.parent / "export"
    run("export", data, export)
    words: dict[str, list[object]] = {
        "set": ["a", "b"],
        "delete": ["a"],
        "import": [export, "--overwrite"],
        "shell": ["-e", "set a b"],
    }
    told = failure(command, data, *words[command])
    assert (told["error"], told["exit"]) == (
        "store_read_only" if command == "shell" else "directory_held",
        3,
    )
    assert f"held by process {holder.pid} on " in told["message"]
    assert "close it there" in told["message"]
    assert run("get", data, "a").exit_code == 1


def test_a_killed_holder(data: Path, holder: subprocess.Popen[bytes]) -> None:
    """A holder that was killed is named no more, and holds nothing."""
    with start("shell", data.parent / "other") as victim:
        assert victim.stderr is not None
        assert b"created" in victim.stderr.readline()
        victim.kill()
    assert answer("stat", data.parent / "other")["held_by"] is None
    answer("set", data.parent / "other", "c", "d")
    assert answer("stat", data)["held_by"]["pid"] == holder.pid


def test_two_commands_at_once(data: Path) -> None:
    """Of commands that write at the same time each either commits or says who was first."""
    with ExitStack() as stack:
        writers = [
            stack.enter_context(start("set", data, f"parallel {at}", "1", "--json"))
            for at in range(4)
        ]
        outcomes = [(writer.communicate(), writer.returncode) for writer in writers]
    committed = 0
    for (out, told), code in outcomes:
        assert code in {0, 3}
        if code == 0:
            committed += 1
            assert "timestamp" in json.loads(out)
        else:
            assert json.loads(told)["error"] == "directory_held"
    stored = run("scan", data, "--prefix", "parallel").stdout.splitlines()
    assert len(stored) == committed >= 1
