"""Servers as child processes: waited for, stopped whatever happens, found again by their mark."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fastness.errors import DeadlineExceeded, Unreachable
from fastness.invariants import InvariantViolation
from fastness.laptop import processes
from fastness.laptop.daemon import Daemon, running
from fastness.laptop.ports import free_port, is_taken, listening

pytestmark = pytest.mark.process

SERVE = """
import os, signal, socket, subprocess, sys, time
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "parent" in sys.argv:
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    time.sleep(1000)
"""


def server(folder: Path, *words: str) -> Daemon:
    """A server that listens, with a child of its own if so told."""
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(port), *words]
    return Daemon("server", command, folder, is_ready=listening(port))


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def test_a_server_is_stopped_when_its_user_is_interrupted(tmp_path: Path) -> None:
    """Ctrl-C unwinds the stack, and with it goes the server."""
    pids: list[int] = []

    def use() -> None:
        with running(server(tmp_path)) as daemon:
            pids.append(daemon.pid)
            assert is_alive(daemon.pid)
            assert processes.resident_bytes(daemon.pid) > 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert not is_alive(pids[0])


def test_a_server_that_ends_early_shows_its_last_words(tmp_path: Path) -> None:
    """The error tells how it ended, what it wrote, and where the log is."""
    command = [sys.executable, "-c", "import sys; sys.exit('no room')"]
    started = running(Daemon("server", command, tmp_path, is_ready=lambda: False))
    with pytest.raises(Unreachable, match=r"server ended with 1: no room\n.*/log"), started:
        pass


def test_a_server_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    """The wait is bounded, and the process is gone afterwards."""
    command = ["sleep", "1000"]
    daemon = Daemon("server", command, tmp_path, is_ready=lambda: False)
    with pytest.raises(DeadlineExceeded, match="not ready"), running(daemon, within_s=0.1):
        pass
    assert daemon.pids() == set()


def test_a_server_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    """SIGKILL follows where its signal is not heeded."""
    daemon = server(tmp_path, "stubborn")
    daemon.start()
    daemon.await_ready()
    daemon.stop(within_s=0.1)
    assert daemon.ended_with == -signal.SIGKILL


def test_a_blow_falls_on_what_the_server_started_too(tmp_path: Path) -> None:
    """A child in a session of its own carries the mark, also once its parent is dead."""
    daemon = server(tmp_path, "parent")
    with running(daemon):
        assert len(daemon.pids()) == 2
        os.kill(daemon.pid, signal.SIGKILL)
        while daemon.is_running():
            pass
        assert len(daemon.pids()) == 1
        daemon.kill()
        assert daemon.pids() == set()


def test_a_server_starts_again_at_its_place(tmp_path: Path) -> None:
    """What an earlier run left is ended first, and the log goes on."""
    daemon = server(tmp_path, "parent")
    with running(daemon):
        before = daemon.pids()
        os.kill(daemon.pid, signal.SIGKILL)
        while daemon.is_running():
            pass
        daemon.start()
        daemon.await_ready()
        assert not before & daemon.pids()


def test_a_paused_server_is_resumed_to_be_stopped(tmp_path: Path) -> None:
    """SIGSTOP reaches all of it; stopping wakes it, so that it can end orderly."""
    daemon = server(tmp_path, "parent")
    daemon.start()
    daemon.await_ready()
    daemon.pause()
    states = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][1] for pid in daemon.pids()}
    assert states == {"T"}
    daemon.stop()
    assert daemon.ended_with == -signal.SIGTERM
    assert daemon.pids() == set()


def test_marks_tell_servers_apart(tmp_path: Path) -> None:
    """One server's blow leaves the other alone, though one mark begins like the other."""
    one, other = (
        Daemon(name, ["sleep", "1000"], tmp_path / name, is_ready=lambda: True, mark="same")
        for name in ("node-1", "node-10")
    )
    with running(one), running(other):
        one.kill()
        assert other.is_running()
        assert processes.marked("same") == other.pids()
        assert processes.end_all("same") == 1


def test_an_ended_child_that_nobody_took_note_of_is_not_there() -> None:
    """A zombie is no process that could be ended."""
    with subprocess.Popen(["true"], env={**os.environ, processes.MARK: "zombie"}) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert processes.marked("zombie") == set()


def test_processor_time_rises() -> None:
    """That of this process is known, and grows while it works."""
    before = processes.cpu_ns(os.getpid())
    assert before is not None
    sum(range(3_000_000))
    after = processes.cpu_ns(os.getpid())
    assert after is not None
    assert after >= before
    assert processes.cpu_ns(2**22 + 1) is None


def test_a_taken_port_is_known() -> None:
    """Whoever wants to listen there is told before."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert is_taken(port)
    assert not is_taken(port)


def test_a_server_that_has_ended_is_sent_no_signal(tmp_path: Path) -> None:
    """Asked to stop between its end and the next look, it must not become somebody else."""
    daemon = Daemon("server", ["true"], tmp_path, is_ready=lambda: True)
    daemon.start()
    while daemon.is_running():
        pass
    daemon.ask_to_stop()
    daemon.stop()
    with pytest.raises(InvariantViolation, match="a signal goes to a process"):
        processes.signal_all({0}, signal.SIGCONT)
