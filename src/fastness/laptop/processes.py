"""Processes as the system shows them (`/proc`): whose they are, below whom, what they use.

Whatever is started here carries a *mark* in its environment, which its children inherit. So all
of them are found again, also those whose parent was killed and whose ids nobody wrote down, and
no process of anybody else is ever taken for one of them.

PostgreSQL writes its titles over the environment of its backends, where `/proc` shows it; these
are found below the postmaster, or, once that is dead, by the folder that they work in.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fastness.errors import DeadlineExceeded, ProgramMissing
from fastness.invariants import check

MARK = "FASTNESS_LAPTOP"
"""The variable that holds the mark."""
PROC = Path("/proc")
POLL_S = 0.02
END_S = 20.0
KILL = signal.SIGKILL
BYTES_PER_KB = 1024
NS_PER_S = 1_000_000_000
PARENT = 1
TICKS = slice(11, 15)
"""Places in /proc/PID/stat, counted from behind the name: user and system time of a process, then
of its children that ended and were waited for."""


def require_proc() -> None:
    """Refuse a system where processes cannot be found again."""
    if not (PROC / "self" / "environ").exists():
        raise ProgramMissing(
            "there is no /proc here, by which a laptop's cluster finds its processes again: run "
            "it on Linux (or in a container)"
        )


def marked(mark: str, folder: Path | None = None) -> set[int]:
    """The processes with this mark (or below it: `mark/...`), and all that came from them.

    With `folder` also PostgreSQL's that work in it.
    """
    parents = _parents()
    found = {pid for pid in parents if carries(pid, mark) or _works_in(pid, folder)}
    # Below those found, and below these, until nobody is added: a process has one parent.
    while below := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= below
    return found - {os.getpid()}


def carries(pid: int, mark: str) -> bool:
    """Whether there is such a process, and it has this mark or one below it."""
    try:
        variables = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    name = f"{MARK}={mark}".encode()
    return any(one == name or one.startswith(name + b"/") for one in variables)


def signal_all(pids: set[int], what: signal.Signals) -> None:
    """Send a signal; a process that has ended meanwhile needs none."""
    # To the system 0 and less mean groups, ours among them.
    check(all(pid > 0 for pid in pids), "a signal goes to a process")
    for pid in sorted(pids):
        with suppress(ProcessLookupError):
            os.kill(pid, what)


def end_all(mark: str, folder: Path | None = None, *, within_s: float = END_S) -> int:
    """Kill every process with this mark, until there is none; how many it were.

    Repeated, since a process may have forked between the look and the blow.
    `DeadlineExceeded` names those that do not go.
    """
    give_up = time.monotonic() + within_s
    ended: set[int] = set()
    while left := marked(mark, folder):
        if time.monotonic() > give_up:
            raise DeadlineExceeded(
                f"processes {sorted(left)} were killed and are still there after {within_s:.0f} s: "
                "look at them with 'ps', they may wait for a disk"
            )
        signal_all(left, signal.SIGKILL)
        ended |= left
        time.sleep(POLL_S)
    return len(ended)


def resident_bytes(pid: int) -> int:
    """The memory of a process that is resident now."""
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text("utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * BYTES_PER_KB
    raise ProcessLookupError(f"process {pid} has no memory: it ended")


def proportional_bytes(pid: int) -> int:
    """The memory of a process, with its part of what it shares; 0 once it has ended."""
    with suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text("utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * BYTES_PER_KB
    return 0


def cpu_ns(pid: int) -> int | None:
    """Processor time that a process and all below it used so far; `None` where nobody tells.

    What ended below it counts on: a server that hangs up on a connection did its work all the same.
    """
    try:
        figures = _stat(pid)
        below = (PROC / str(pid) / "task" / str(pid) / "children").read_text("utf-8").split()
    except OSError:
        return None
    ticks = sum(map(int, figures[TICKS]))
    own_ns = ticks * NS_PER_S // os.sysconf("SC_CLK_TCK")
    return own_ns + sum(cpu_ns(int(child)) or 0 for child in below)


def _parents() -> dict[int, int]:
    """Every living process, and who started it."""
    return dict(_read_parents())


def _read_parents() -> Iterator[tuple[int, int]]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                figures = _stat(int(entry.name))
                # A zombie does nothing more; its parent has yet to take note.
                if figures[0] != "Z":
                    yield int(entry.name), int(figures[PARENT])


def _stat(pid: int) -> list[str]:
    # The name, which may hold anything, ends with the last bracket.
    return (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()


def _works_in(pid: int, folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        program = (PROC / str(pid) / "exe").readlink().name
        place = (PROC / str(pid) / "cwd").readlink()
    except OSError:
        return False
    return program == "postgres" and place.is_relative_to(folder)
