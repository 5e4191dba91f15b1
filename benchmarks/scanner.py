"""A process that scans everything behind a server, again and again, until it is told to stop."""

from __future__ import annotations

import signal
import sys

import fastness
from benchmarks.workload import key


def main(url: str, count: int) -> None:
    """Say when the first page is there, then go on."""
    with fastness.open(url) as database:
        database.scan(key(0), key(count))
        print("scanning", flush=True)
        while True:
            for _entry in database.scan_all(key(0), key(count)):
                pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(0))
    main(sys.argv[1], int(sys.argv[2]))
