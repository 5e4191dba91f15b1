"""Writes that RocksDB asks to wait: they wait without freezing the process, and end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from rocksdict import Options, Rdict, WriteBatch

from fastness.errors import DiskFull
from fastness.limits import KIB
from fastness.storage.rocksdb.stalls import PatientWriter

BATCH_BYTES = 16 * KIB


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Rdict]:
    """A database with tiny buffers, which asks writers to wait all the time."""
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_write_buffer_size(64 * KIB)
    options.set_level_zero_file_num_compaction_trigger(2)
    options.set_level_zero_slowdown_writes_trigger(3)
    options.set_level_zero_stop_writes_trigger(4)
    opened = Rdict(str(tmp_path / "raw"), options)
    yield opened
    opened.close()


def batch_of(number: int) -> Callable[[], WriteBatch]:
    """Builds a batch of one numbered row."""

    def build() -> WriteBatch:
        batch = WriteBatch(raw_mode=True)
        batch[b"%06d" % number] = Random(number).randbytes(BATCH_BYTES)
        return batch

    return build


def is_refused(root: Rdict, number: int) -> bool:
    """Try to write a row; whether RocksDB asked to wait instead."""
    try:
        root.write(batch_of(number)())
    except Exception as error:
        if "Write stall" not in str(error):
            raise
        return True
    return False


def test_stalled_writes_get_on(root: Rdict, tmp_path: Path) -> None:
    """Refused writes are written in the end, each once, and refused ones leave no trace."""
    writer = PatientWriter(root, tmp_path, room=0)
    refused = number = 0
    while refused < 30:
        if is_refused(root, number):
            refused += 1
            assert root.get(b"%06d" % number) is None
            writer.write(batch_of(number))
        number += 1
    assert len(list(root.keys())) == number


def test_a_stop_on_a_full_disk_is_told(root: Rdict, tmp_path: Path) -> None:
    """Where there is no room to go on, waiting is in vain and is not tried."""
    writer = PatientWriter(root, tmp_path, room=2**62)
    with pytest.raises(DiskFull, match="no room"):
        write_until_stopped(writer)
    PatientWriter(root, tmp_path, room=0).wait_until_writable()
    written = [int(key) for key, _value in root.items()]
    assert written == list(range(len(written)))


def write_until_stopped(writer: PatientWriter) -> None:
    """Write rows until that raises."""
    number = 0
    while True:
        writer.write(batch_of(number))
        number += 1
