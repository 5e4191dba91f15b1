"""A process that outlives whoever runs the cluster by a moment, to end what that left behind.

It reads from a pipe that only its parent holds. When the parent is gone, by whatever death, the
pipe ends, and with it every process that carries the mark: by SIGKILL, as in a power failure,
which everything here is made to survive. A parent that ends orderly says so first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fastness.laptop import processes
from fastness.laptop.programs import importable

FAREWELL = b"!"
"""What a parent says that leaves nothing behind."""


class Sentinel:
    """Watches over the life of this process."""

    def __init__(self, mark: str, folder: Path) -> None:
        """End what carries the mark, or is a PostgreSQL in `folder`, when this process is gone."""
        reading, self._writing = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this very module
                [sys.executable, "-m", __name__, mark, str(folder)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **importable()},
                start_new_session=True,
            )
        finally:
            os.close(reading)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def dismiss(self) -> None:
        """End it, and nothing else."""
        os.write(self._writing, FAREWELL)
        os.close(self._writing)
        self._process.wait()


def main() -> None:
    """Wait for the end of the pipe, then of everything."""
    mark, folder = sys.argv[1:]
    if os.read(sys.stdin.fileno(), 1) != FAREWELL:
        processes.end_all(mark, Path(folder))


if __name__ == "__main__":
    main()
