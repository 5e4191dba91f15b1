"""Web services of the examples as processes: several workers behind one socket of their own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from fastness.testing.kit.serving import environment

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.1


@contextmanager
def running(
    line: Callable[[Path], list[str]], **extra: str
) -> Iterator[Callable[[], httpx.Client]]:
    """A service that `line` starts at a socket, with more in its environment; makes clients.

    Ends it by SIGTERM, which must be enough.
    """
    # The path of a socket must be short, which `tmp_path` is not everywhere.
    folder = Path(tempfile.mkdtemp(prefix="fastness-"))
    path, log = folder / "s", folder / "log"

    def client() -> httpx.Client:
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)),
            base_url="http://localhost",
            timeout=PATIENCE_SECONDS,
        )

    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *line(path)],
            stdout=output,
            stderr=output,
            env=environment(extra),
        )
    with process:
        try:
            _await_socket(process, path, log)
            yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
    shutil.rmtree(folder)


def _await_socket(process: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    """Return once somebody listens; a worker that begins lets requests wait until it can answer."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / PAUSE_SECONDS)):
        assert process.poll() is None, log.read_text()
        with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
            asking.connect(str(path))
            return
        pause.wait(PAUSE_SECONDS)
    raise AssertionError(f"the service does not listen: {log.read_text()}")
