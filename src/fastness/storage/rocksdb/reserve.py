"""Space set aside so that a database on a full disk can be opened again.

Opening replays the log into table files, which takes up to as much space as the log has, and some
for what RocksDB writes of its own. On a full disk the `RESERVE` file is given up for that. Until it
can be put back, writes are refused with `DiskFull` and reads go on.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastness.limits import KIB

OPENING_BYTES = 256 * KIB
"""What opening writes beside the log's content: about 100 KiB, for every table some."""


class Reserve:
    """The reserve file of a directory."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size
        self._held = False

    @property
    def held(self) -> bool:
        """Whether the space is set aside."""
        return self._held

    def hold(self) -> bool:
        """Set the space aside if it is not; returns whether it is now."""
        if self._held:
            return True
        try:
            if not (self._path.exists() and self._path.stat().st_size >= self.size):
                self._allocate()
            self._held = True
        except OSError:
            self.release()
        return self._held

    def release(self) -> bool:
        """Give the space up; returns whether there was any."""
        self._held = False
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _allocate(self) -> None:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(handle, 0, self.size)
        finally:
            os.close(handle)
