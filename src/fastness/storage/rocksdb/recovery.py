"""What is checked before RocksDB may touch the files, and how damage is named.

An opening replays the log, writes what it found to table files and deletes the log. So what
would come out shorter must be refused before: the checks here only read.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from fastness.errors import FastnessError, StoreDamaged
from fastness.limits import Limits
from fastness.storage.rocksdb.frozen import FrozenTables
from fastness.storage.rocksdb.high_water import HighWater, check_manifest, read_high_water
from fastness.storage.rocksdb.identity import HIGH_WATER_FILE, TABLES
from fastness.storage.rocksdb.log_scan import batches, last_sequence, log_files
from fastness.storage.rocksdb.translation import RESTORE


def check_files(tables: Path, mark: HighWater, limits: Limits) -> None:
    """Raise `StoreDamaged` if the files end before what was made durable, or have holes."""
    check_manifest(tables, mark)
    if last_sequence(tables) < mark.sequence:
        # The log was written to table files since, or it is missing: a reading opening tells.
        _open_checked(tables, mark, limits).close()


def open_frozen(path: Path, limits: Limits) -> FrozenTables:
    """The tables of a directory for reading, checked as an owner's opening checks them."""
    tables = path / TABLES
    mark = read_high_water(path / HIGH_WATER_FILE)
    check_manifest(tables, mark)
    last_sequence(tables)
    return _open_checked(tables, mark, limits)


def _open_checked(tables: Path, mark: HighWater, limits: Limits) -> FrozenTables:
    try:
        frozen = FrozenTables.open(tables, limits)
    except StoreDamaged as damage:
        raise named(damage, tables, limits) from damage
    try:
        check_sequence(tables, frozen.sequence, mark)
    except BaseException:
        frozen.close()
        raise
    return frozen


def check_sequence(tables: Path, reached: int, mark: HighWater) -> None:
    """Raise `StoreDamaged` unless the tables reach the high water."""
    if reached < mark.sequence:
        logs = ", ".join(path.name for path in log_files(tables)) or "no log file"
        raise StoreDamaged(
            f"{tables} ends at write {reached}, but writes up to {mark.sequence} were "
            f"acknowledged: the end of the log ({logs}) is cut off or missing. {RESTORE}"
        )


def named(damage: StoreDamaged, tables: Path, limits: Limits) -> StoreDamaged:
    """The damage an opening met, with the log file and the place if it is in a log.

    RocksDB names damaged tables and manifests, but of a log only says that a checksum fails.
    """
    if str(tables) in str(damage).partition(": ")[2]:
        return damage
    try:
        with closing(FrozenTables.open(tables, limits, up_to_damage=True)) as readable:
            good = readable.sequence
    except FastnessError:
        return damage
    for path in log_files(tables):
        for batch in batches(path):
            if batch.first_sequence > good:
                return StoreDamaged(
                    f"{path} is damaged at byte {batch.offset}, after write {good}: {damage}"
                )
    return damage
