"""A crash at every step: what was acknowledged is there, and every batch is whole or absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fastness.errors import StoreDamaged
from fastness.storage import (
    EPOCH_MAX,
    InspectedStore,
    MemoryStore,
    RocksStore,
    Step,
    Store,
)
from fastness.storage.cells import value_of
from tests.storage.conformance import seen
from tests.storage.crashing import child_of, late_of, record_of, writes_of
from tests.storage.homes import (
    ALL_KEYS,
    RANGE,
    REPOSITORY,
    SMALL,
    Writer,
    child_environment,
    commit,
)


class PowerFailure(BaseException):
    """Raised by a hook where the power goes: nothing may catch it."""


def run_until_killed(path: Path, step: Step, occurrence: int) -> list[str]:
    """Run the writing process; returns what it acknowledged before it died."""
    command = [sys.executable, "-m", "tests.storage.crashing", str(path), step, str(occurrence)]
    ended = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr
    return ended.stdout.splitlines()


def latest(acknowledged: list[str], what: str) -> int:
    """The highest number acknowledged for something, 0 for none."""
    numbers = [line.split()[1] for line in acknowledged if line.startswith(what + " ")]
    return max(map(int, numbers), default=0)


def check_ranges(store: Store, last: int) -> None:
    """Hold records, ranges born and ranges absorbed to what the first batches leave."""
    records = {record_of(number): b"" for number in (last - 1, last) if number > 0}
    assert store.range_records(RANGE) == records
    for number in filter(child_of, range(1, last + 1)):
        merged = last >= number + 3
        born = {} if merged else {b"born": str(number).encode()}
        assert store.range_epoch(child_of(number)) == (EPOCH_MAX if merged else 1)
        assert store.range_records(child_of(number)) == born


def check_left(store: Store, acknowledged: list[str]) -> int:
    """Hold a store to what was acknowledged; returns the number of its last batch."""
    state = store.open_range(RANGE, store.range_epoch(RANGE) + 1)
    last = state.batch_number
    assert last - latest(acknowledged, "batch") in {0, 1}
    assert state.applied == 2 * last
    check_ranges(store, last)
    expected: dict[bytes, bytes] = {}
    for number in range(1, last + 1):
        late = late_of(number) if number > 1 else {}
        for key, value in {**late, **writes_of(number)}.items():
            if value is None:
                expected.pop(key, None)
            else:
                expected[key] = value
    found = {key: value_of(cell) for key, cell in store.scan_newest(ALL_KEYS, limit=10_000)}
    assert found == expected
    assert int(store.state("mark") or b"0") >= latest(acknowledged, "mark")
    assert store.prune_horizon(RANGE) >= latest(acknowledged, "horizon")
    assert store.verify() == []
    return last


@pytest.mark.process
@pytest.mark.parametrize("step", [*Step])
def test_a_process_killed_at_a_step(tmp_path: Path, step: Step) -> None:
    """SIGKILL at a step, several times in a row: nothing acknowledged is lost, nothing torn."""
    path = tmp_path / "database"
    occurrences = (1,) if step in {Step.CREATE_BEGIN, Step.CREATE_TABLES} else (1, 2)
    acknowledged: list[str] = []
    for occurrence in occurrences:
        acknowledged += run_until_killed(path, step, occurrence)
        store = RocksStore.open(path, limits=SMALL)
        last = check_left(store, acknowledged)
        acknowledged.append(f"batch {last}")
        store.close()
    whole = [copy for copy in tmp_path.glob("copy*") if is_whole(copy)]
    assert len(whole) >= acknowledged.count("copy")


def is_whole(copy: Path) -> bool:
    """Whether a copy was finished; one that was not says so when it is opened."""
    if '"copying"' in (copy / "FASTNESS").read_text():
        with pytest.raises(StoreDamaged, match="never finished"):
            RocksStore.open(copy, limits=SMALL)
        return False
    store = InspectedStore.open(copy, limits=SMALL)
    assert store.verify() == []
    store.close()
    return True


@pytest.mark.parametrize("kept", [0, 1, 2])
@pytest.mark.parametrize("step", [*Step][2:10])
def test_the_power_fails_at_a_step(step: Step, kept: int) -> None:
    """In memory, with any part of the unsynced writes surviving, the same holds."""
    armed = False

    def hook(reached: Step) -> None:
        if armed and reached == step:
            raise PowerFailure

    store = MemoryStore(faults=hook)
    writer = Writer(store)
    writer.apply(commit(1, a="1", b="1"))
    store.sync()
    armed = True
    with pytest.raises(PowerFailure):
        write_on(store, writer)
    armed = False
    found = store.crash(kept=min(kept, store.unsynced_writes))
    left = seen(found.scan_newest(ALL_KEYS, limit=9))
    assert left in ({"a": "1", "b": "1"}, {"a": "2", "b": "2"})
    if step in {Step.RECORD_BEGIN, Step.PRUNE_BEGIN, Step.SYNC_END}:
        assert left["a"] == "2"
    assert found.verify() == []


def write_on(store: Store, writer: Writer) -> None:
    """Pass every step of a write once."""
    writer.apply(commit(2, a="2", b="2"))
    store.sync()
    store.prune(RANGE, ALL_KEYS, 2, 99)
    store.record({"mark": b""})
