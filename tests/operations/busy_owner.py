"""A process that holds a directory and commits without pause, until its stdin ends.

Each commit writes the next number under its own key and, padded, under one of a few that are
overwritten again and again, so that RocksDB keeps flushing, compacting and deleting files. What
was acknowledged stands in a file that others read. Arguments: the directory and that file.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread

import fastness

ROTATED = 50
PADDING = 2_000
TINY = replace(fastness.Limits(), write_buffer_bytes=256 * 1024, retention_ms=200)


def main(directory: str, acknowledged: str) -> None:
    """Write until told to stop."""
    stopped: list[bytes] = []
    listener = Thread(target=lambda: stopped.append(sys.stdin.buffer.read()), daemon=True)
    listener.start()
    told = os.open(acknowledged, os.O_WRONLY | os.O_CREAT)
    with fastness.open(f"file:{directory}", limits=TINY) as database:
        number = 0
        while not stopped:
            with database.transaction() as tx:
                tx.set(b"number %08d" % number, b"")
                tx.set(b"rotated %02d" % (number % ROTATED), b"%d" % number + bytes(PADDING))
            os.pwrite(told, b"%08d" % number, 0)
            if number == 0:
                sys.stdout.write("ready\n")
                sys.stdout.flush()
            number += 1
    os.close(told)


def acknowledged(path: Path) -> int:
    """The last number acknowledged."""
    return int(path.read_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
