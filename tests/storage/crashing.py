"""A process that writes to a store and is killed at a step: `python -m tests.storage.crashing`.

Arguments: the directory, the step, and at which of its occurrences to die. Each line it
prints acknowledges something: "batch N" once batch N is synced, "mark N", "horizon N",
"copy". The parent holds the store to exactly that.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from fastness.storage import CommittedWrites, RocksStore, Step
from tests.storage.homes import ALL_KEYS, RANGE, SMALL, Writer

BATCHES = 40
KEYS_PER_BATCH = 3


class Killer:
    """Kills this process at the n-th occurrence of a step."""

    def __init__(self, step: Step, occurrence: int) -> None:
        self.step = step
        self.left = occurrence

    def __call__(self, step: Step) -> None:
        """Count, and die when it is time."""
        if step == self.step:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def writes_of(number: int) -> dict[bytes, bytes | None]:
    """What batch `number` writes: shared keys that must agree, and keys of its own."""
    value = str(number).encode() * 50
    shared: dict[bytes, bytes | None] = {f"shared{n}".encode(): value for n in range(3)}
    own = {f"own{number:04}-{n}".encode(): value for n in range(KEYS_PER_BATCH)}
    return {**shared, **own, f"own{number - 5:04}-0".encode(): None}


def acknowledge(what: str) -> None:
    """Tell the parent, which may rely on it from then on."""
    os.write(1, f"{what}\n".encode())


def main(path: Path, step: Step, occurrence: int) -> None:
    """Write until killed."""
    store = RocksStore.open(path, limits=SMALL, faults=Killer(step, occurrence))
    writer = Writer(store)
    for number in range(writer.number + 1, writer.number + 1 + BATCHES):
        writer.apply(CommittedWrites(number, writes_of(number)))
        store.sync()
        acknowledge(f"batch {number}")
        if number % 4 == 0:
            store.record({"mark": str(number).encode()})
            acknowledge(f"mark {number}")
        if number % 6 == 0:
            store.prune(RANGE, ALL_KEYS, number - 10, 5) if number > 10 else None
            acknowledge(f"horizon {number - 10}")
        if number % 15 == 0:
            store.checkpoint(path.with_name(f"copy{number}"))
            acknowledge("copy")
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Step(sys.argv[2]), int(sys.argv[3]))
