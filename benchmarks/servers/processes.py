"""One server as a child process: started, waited for, and stopped by its id.

The child has a session of its own, so that Ctrl-C reaches the benchmark alone, which then stops
its servers one after another while its stack unwinds.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.samples import NS_PER_S
from benchmarks.servers.programs import Missing

HOST = "127.0.0.1"
READY_S = 60.0
STOP_S = 20.0
POLL_S = 0.02
LOG_CHARACTERS = 400
BYTES_PER_KB = 1024
USER_TICKS, SYSTEM_TICKS = 11, 12
"""Places in /proc/PID/stat, counted from behind the name."""


class Server(NamedTuple):
    """A peer's server that is ready."""

    port: int
    pid: int


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    is_ready: Callable[[], bool],
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    """The process id of a server that is ready; it is stopped at the end, however that comes.

    `Missing`, with the end of its log, where it does not become ready.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, is_ready, log)
            yield process.pid
        finally:
            _stop(process, stop_signal)


def _wait_until_ready(
    process: subprocess.Popen[bytes], is_ready: Callable[[], bool], log: Path
) -> None:
    give_up = time.monotonic() + READY_S
    while not is_ready():
        ended = process.poll()
        if ended is not None or time.monotonic() > give_up:
            how = f"ended with {ended}" if ended is not None else f"was not ready in {READY_S} s"
            told = log.read_text("utf-8", "replace")[-LOG_CHARACTERS:].strip()
            raise Missing(f"it {how}: {told}")
        time.sleep(POLL_S)


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def listening(port: int) -> Callable[[], bool]:
    """Whether somebody accepts connections there, each time it is asked."""
    return partial(_is_listening, port)


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def resident_bytes(pid: int) -> int:
    """The memory of a process that is resident now."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * BYTES_PER_KB
    raise ProcessLookupError(f"process {pid} has no memory: it ended")


def cpu_ns(pid: int) -> int | None:
    """Processor time that a process and all below it used so far; `None` where nobody tells."""
    try:
        # The name, which may hold anything, ends with the last bracket.
        figures = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    except OSError:
        return None
    ticks = int(figures[USER_TICKS]) + int(figures[SYSTEM_TICKS])
    own_ns = ticks * NS_PER_S // os.sysconf("SC_CLK_TCK")
    return own_ns + sum(cpu_ns(int(child)) or 0 for child in below)


def as_somebody() -> list[str | Path]:
    """What to put before a command that refuses to run as root.

    In a user namespace of its own the process is user 1000, and files keep root's access.
    """
    if os.geteuid() != 0:
        return []
    wrapper: list[str | Path] = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    try:
        subprocess.run([*wrapper, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"it refuses to run as root, and 'unshare --user' fails: {error}") from None
    return wrapper
