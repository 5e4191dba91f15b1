"""A server as a process of ours: started, waited for, killed, paused, started again at its place.

It has a session of its own, so that Ctrl-C in the terminal reaches only who started it, who then
stops it. All of its processes carry one mark (`processes.py`), and a blow falls on all of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from fastness.errors import DeadlineExceeded, Unreachable
from fastness.laptop import processes
from fastness.laptop.processes import MARK, POLL_S

READY_S = 60.0
"""How long it may take to be ready: machines that run this are busy."""
STOP_S = 20.0
"""How long it may take to end by its signal, before SIGKILL."""
SHOWN_BYTES = 2_000
"""How much of a log's end an error shows."""
PID = "pid"
"""The file that names its first process."""
LOG_BYTES_MAX = 32_000_000
"""A longer log is put aside at the next start, in the place of the one put aside before."""


class Daemon:
    """One server, which runs or does not."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        *,
        is_ready: Callable[[], bool],
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        mark: str = "",
        adopts: bool = False,
    ) -> None:
        """It works in `folder`, where its log is too. `mark` is that of a cluster it belongs to.

        `adopts`: it goes on with what an earlier run of it left running, which is else ended.
        """
        self.name = name
        self.command = [str(word) for word in command]
        self.folder = folder.resolve()
        self._is_ready = is_ready
        self._stop_signal = stop_signal
        self._environment = dict(environment or {})
        self.mark = f"{mark or token_hex(8)}/{name}"
        self._adopts = adopts
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it says, over all of its runs."""
        return self.folder / "log"

    @property
    def pid(self) -> int:
        """Its first process, also one that another process of ours started; 0: it does not run."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else 0
        return self._noted_pid()

    @property
    def ended_with(self) -> int | None:
        """How its last run ended, `None` where it has not, or another process started it."""
        return self._process.poll() if self._process is not None else None

    def is_running(self) -> bool:
        """Whether its first process is there (paused, maybe)."""
        return self.pid != 0

    def is_ready(self) -> bool:
        """Whether it runs and answers as it should."""
        return self.is_running() and self._is_ready()

    def pids(self) -> set[int]:
        """All of its processes."""
        return processes.marked(self.mark, self.folder)

    def start(self) -> None:
        """Start it; it may not be ready yet. What an earlier run left is ended first."""
        if self.is_running():
            return
        if not self._adopts:
            processes.end_all(self.mark, self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.folder / "log.1")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment, MARK: self.mark},
                start_new_session=True,
            )
        (self.folder / PID).write_text(f"{self._process.pid}\n", encoding="utf-8")

    def await_ready(self, within_s: float = READY_S) -> None:
        """Wait until it is ready; an error with its last words where it ends or takes too long.

        `Unreachable` if it ended, `DeadlineExceeded` if it was not ready in time.
        """
        give_up = time.monotonic() + within_s
        while not self.is_ready():
            ended = self.ended_with
            if ended is not None:
                raise Unreachable(f"{self.name} ended with {ended}: {self.last_words()}")
            if time.monotonic() > give_up:
                raise DeadlineExceeded(
                    f"{self.name} was not ready after {within_s:.0f} s: {self.last_words()}"
                )
            time.sleep(POLL_S)

    def ask_to_stop(self) -> None:
        """Send it the signal at which it ends by itself."""
        if pid := self.pid:
            self.resume()
            processes.signal_all({pid}, self._stop_signal)

    def stop(self, within_s: float = STOP_S) -> None:
        """End it, orderly if it does so in time; nothing of it is left. Idempotent."""
        self.ask_to_stop()
        give_up = time.monotonic() + within_s
        while self.is_running() and time.monotonic() < give_up:
            time.sleep(POLL_S)
        # For those who did not hear, and whom they left behind.
        self.kill()

    def kill(self) -> None:
        """SIGKILL to all of its processes, as if its machine had lost power."""
        if first := self.pid:
            # It might start others in the place of those that die.
            processes.signal_all({first}, signal.SIGKILL)
        processes.end_all(self.mark, self.folder)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP to all of its processes."""
        processes.signal_all(self.pids(), signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to all of its processes."""
        processes.signal_all(self.pids(), signal.SIGCONT)

    def _noted_pid(self) -> int:
        try:
            pid = int((self.folder / PID).read_text("utf-8"))
        except (OSError, ValueError):
            return 0
        return pid if processes.carries(pid, self.mark) else 0

    def last_words(self) -> str:
        """The end of its log, and where all of it is."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - SHOWN_BYTES))
                said = log.read().decode("utf-8", "replace").strip()
        except FileNotFoundError:
            said = ""
        return f"{said or '(it said nothing)'}\nAll it said is in {self.log}"


@contextmanager
def running(daemon: Daemon, within_s: float = READY_S) -> Iterator[Daemon]:
    """A daemon that is ready; it is stopped at the end, however that comes."""
    try:
        daemon.start()
        daemon.await_ready(within_s)
        yield daemon
    finally:
        daemon.stop()
