"""The walk over log files: batches numbered without gaps, whatever their size."""

from __future__ import annotations

import shutil
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from fastness.errors import StoreDamaged
from fastness.storage import CommittedWrites, RocksStore
from fastness.storage.rocksdb.log_scan import BLOCK_BYTES, batches, last_sequence, log_files
from tests.storage.homes import RocksHome, Writer


@pytest.fixture
def log(rocks_home: RocksHome) -> Path:
    """A log with batches smaller and larger than its blocks."""
    random = Random(7)
    store = RocksStore.open(rocks_home.path)
    writer = Writer(store)
    for number in range(1, 121):
        size = random.choice([1, 100, 5_000, BLOCK_BYTES, 100_000 if number % 40 == 0 else 50])
        writer.apply(CommittedWrites(number, {b"%d" % number: random.randbytes(size)}))
        if size > BLOCK_BYTES:
            store.sync()
    store.sync()
    path = log_files(rocks_home.path / "tables")[-1]
    copied = Path(shutil.copy(path, rocks_home.path.with_name(path.name)))
    store.close()
    return copied


def test_batches_follow_each_other(log: Path) -> None:
    """Each batch begins where the one before it ended, in the file and in numbers."""
    found = list(batches(log))
    assert len(found) > 10
    for one, two in pairwise(found):
        assert two.first_sequence == one.last_sequence + 1
        assert two.offset > one.offset
    assert last_sequence(log.parent) == found[-1].last_sequence


def test_a_cut_file_gives_a_beginning(log: Path, tmp_path: Path) -> None:
    """Cut anywhere, a log gives the batches before the cut and no error."""
    whole, content = list(batches(log)), log.read_bytes()
    random = Random(3)
    for _turn in range(60):
        size = random.randrange(len(content))
        cut = tmp_path / "cut"
        cut.write_bytes(content[:size])
        found = list(batches(cut))
        assert found == whole[: len(found)]
        assert all(batch.offset < size for batch in found)


def test_zeros_anywhere_between_are_told(log: Path) -> None:
    """Zeros over whole batches are told wherever they begin; at the end they are an end."""
    whole, content = list(batches(log)), log.read_bytes()
    for number in range(0, len(whole) - 1, 7):
        begin, end = whole[number].offset, whole[number + 1].offset
        log.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
        with pytest.raises(StoreDamaged, match=log.name):
            list(batches(log))
    log.write_bytes(content[: whole[-1].offset].ljust(len(content), b"\x00"))
    assert list(batches(log)) == whole[:-1]


def test_a_batch_taken_out_is_told(log: Path) -> None:
    """A block lost from the middle is told by the numbers that are missing."""
    content = log.read_bytes()
    log.write_bytes(content[:BLOCK_BYTES] + content[2 * BLOCK_BYTES :])
    with pytest.raises(StoreDamaged, match="should follow"):
        list(batches(log))


@pytest.mark.parametrize("seed", range(30))
def test_any_bytes_are_walked(tmp_path: Path, seed: int) -> None:
    """Any file is walked to an end or refused; nothing else is raised."""
    random = Random(seed)
    path = tmp_path / "000001.log"
    path.write_bytes(random.randbytes(random.randrange(3 * BLOCK_BYTES)))
    with suppress(StoreDamaged):
        assert all(batch.offset >= 0 for batch in batches(path))
