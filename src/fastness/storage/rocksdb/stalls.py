"""Writing when RocksDB asks writers to wait, without freezing the process.

When flushes or compactions fall behind, or the disk is full, RocksDB delays or stops writes.
`rocksdict` waits for that inside the call, with the interpreter lock held: every thread of
the process stands still, for ever if the disk stays full. So writes carry `no_slowdown`,
which makes RocksDB refuse instead, before anything is written; the waiting is done here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from rocksdict import Rdict, WriteBatch, WriteOptions

from fastness.errors import DiskFull, StoreUnavailable

STALL_SECONDS_MAX = 60.0
PAUSE_SECONDS = 0.005
DELAY_SECONDS_MAX = 5.0


class PatientWriter:
    """Writes batches to one database; one thread at a time."""

    def __init__(self, root: Rdict, path: Path, *, room: int) -> None:
        """`room` is the space in bytes without which a stopped database cannot go on."""
        self._root = root
        self._path = path
        self._room = room
        options = WriteOptions()
        options.no_slowdown = True
        root.set_write_options(options)

    def write(self, build: Callable[[], WriteBatch]) -> None:
        """Write what `build` gives, unsynced: called again for each attempt, as one consumes it.

        Raises `DiskFull`, or `StoreUnavailable` after a minute of waiting.
        """
        try:
            self._root.write(build())
        except Exception as error:
            if not _asks_to_wait(error):
                raise
            self._write_patiently(build)

    def wait_until_writable(self) -> None:
        """Wait until writes are not stopped; raises as `write` does."""
        waited = 0.0
        while self._root.property_int_value("rocksdb.is-write-stopped"):
            waited += self._pause(PAUSE_SECONDS, waited)

    def _write_patiently(self, build: Callable[[], WriteBatch]) -> None:
        waited = 0.0
        while True:
            batch = build()
            waited += self._pause(self._delay(batch.size_in_bytes()), waited)
            try:
                self._root.write(batch)
                return
            except Exception as error:
                if not _asks_to_wait(error):
                    raise

    def _delay(self, size: int) -> float:
        """How long to wait before the next attempt.

        While writes are delayed to a rate, RocksDB charges a refused batch too. Twice the time
        that its size takes at that rate pays for it and for the next attempt.
        """
        rate = self._root.property_int_value("rocksdb.actual-delayed-write-rate")
        if not rate:
            return PAUSE_SECONDS
        return min(PAUSE_SECONDS + 2.2 * size / rate, DELAY_SECONDS_MAX)

    def _pause(self, seconds: float, waited: float) -> float:
        """Sleep, unless waiting is in vain; returns the seconds slept."""
        if self._root.property_int_value("rocksdb.is-write-stopped"):
            space = os.statvfs(self._path)
            if space.f_bavail * space.f_frsize < self._room:
                raise DiskFull(
                    f"the disk of {self._path} has no room to write tables: free at least "
                    f"{self._room} bytes, then reopen the database"
                )
        if waited > STALL_SECONDS_MAX:
            raise StoreUnavailable(
                f"{self._path} has taken no writes for {waited:.0f} seconds, as flushing or "
                "compaction does not get on: check the disk, then reopen the database"
            )
        time.sleep(seconds)
        return seconds


def _asks_to_wait(error: Exception) -> bool:
    return "Write stall" in str(error)
