"""A process that writes to a store and is killed at a step: `python -m tests.storage.crashing`.

Arguments: the directory, the step, and at which of its occurrences to die. Each line it
prints acknowledges something: "batch N" once batch N is synced, "mark N", "horizon N",
"copy". The parent holds the store to exactly that.

Batch N commits at 2N and resolves a transaction below batch N-1, at 2N-3. Now and then one is
asked for instead of synced, splits a range off, or merges it back.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from fastness.storage import Batch, CommittedWrites, Inherited, RocksStore, Step
from tests.storage.homes import ALL_KEYS, RANGE, SMALL, Writer

BATCHES = 40
KEYS_PER_BATCH = 3
BORN_AT = 4
"""Of each ten batches the one that splits a range off."""


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


def late_of(number: int) -> dict[bytes, bytes | None]:
    """What batch `number` resolves below the batch before it."""
    return {f"late{number:04}".encode(): str(number).encode()}


def record_of(number: int) -> bytes:
    """The record that batch `number` writes, and batch `number` + 2 removes."""
    return f"of{number}".encode()


def child_of(number: int) -> int:
    """The range that batch `number` gives birth to, and batch `number` + 3 absorbs; 0 for none."""
    return 100 + number if number % 10 == BORN_AT else 0


def batch_of(writer: Writer, number: int) -> Batch:
    """Batch `number`."""
    batch = writer.change(
        CommittedWrites(2 * number, writes_of(number)),
        records={record_of(number): b"", record_of(number - 2): None},
    )
    if number > 1:
        batch.resolved.append(CommittedWrites(2 * number - 3, late_of(number)))
    if child := child_of(number):
        records = {b"born": str(number).encode()}
        horizon = writer.store.prune_horizon(RANGE)
        batch.splits.append(Inherited(child, 1, 2 * number, horizon, records))
    if child := child_of(number - 3):
        batch.absorbs.append((child, 1))
    return batch


def acknowledge(what: str) -> None:
    """Tell the parent, which may rely on it from then on."""
    os.write(1, f"{what}\n".encode())


def main(path: Path, step: Step, occurrence: int) -> None:
    """Write until killed."""
    store = RocksStore.open(path, limits=SMALL, faults=Killer(step, occurrence))
    writer = Writer(store)
    for number in range(writer.number + 1, writer.number + 1 + BATCHES):
        writer.send(batch_of(writer, number))
        if number % 3:
            store.sync()
        else:
            assert store.settle(RANGE, writer.epoch, number)
        acknowledge(f"batch {number}")
        if number % 4 == 0:
            store.record({"mark": str(number).encode()})
            acknowledge(f"mark {number}")
        if number % 6 == 0:
            store.prune(RANGE, ALL_KEYS, 2 * number - 20, 5) if number > 10 else None
            acknowledge(f"horizon {2 * number - 20}")
        if number % 15 == 0:
            store.checkpoint(path.with_name(f"copy{number}"))
            acknowledge("copy")
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Step(sys.argv[2]), int(sys.argv[3]))
