"""Servers as child processes: found, waited for, stopped whatever happens."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.servers import programs
from benchmarks.servers.processes import cpu_ns, free_port, listening, resident_bytes, running
from benchmarks.servers.programs import Missing

SERVE = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


@pytest.mark.process
def test_a_server_is_stopped_when_its_user_is_interrupted(tmp_path: Path) -> None:
    """Ctrl-C unwinds the stack, and with it goes the server."""
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(port)]
    pids: list[int] = []

    def use() -> None:
        with running(command, log=tmp_path / "log", is_ready=listening(port)) as pid:
            pids.append(pid)
            assert is_alive(pid)
            assert resident_bytes(pid) > 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert not is_alive(pids[0])


@pytest.mark.process
def test_a_server_that_ends_early_is_missing_with_its_last_words(tmp_path: Path) -> None:
    """The reason shows how it ended and what it wrote."""
    command = [sys.executable, "-c", "import sys; sys.exit('no room')"]
    started = running(command, log=tmp_path / "log", is_ready=lambda: False)
    with pytest.raises(Missing, match=r"ended with 1: no room"), started:
        pass


def test_a_program_that_is_nowhere_is_missing_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the PATH nor in a wheel: the text says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    for find, advice in (
        (programs.redis_server, "install redis-server"),
        (programs.etcd, "install etcd-server"),
        (programs.postgresql_programs, "install PostgreSQL 18"),
    ):
        with pytest.raises(Missing, match=advice):
            find()


def test_what_is_on_the_path_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of the machine is preferred to a wheel's; an old PostgreSQL is not."""
    shell = shutil.which("sh")
    for name, told in (("redis-server", "v=8.0.0"), ("postgres", "postgres (PostgreSQL) 15.1")):
        script = tmp_path / name
        script.write_text(f"#!{shell}\necho '{told}'\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    assert programs.redis_server() == tmp_path / "redis-server"
    with pytest.raises(Missing):
        programs.postgresql_programs()


def test_processor_time_rises() -> None:
    """That of this process is known, and grows while it works."""
    before = cpu_ns(os.getpid())
    assert before is not None
    sum(range(3_000_000))
    after = cpu_ns(os.getpid())
    assert after is not None
    assert after >= before
    assert cpu_ns(2**22 + 1) is None
