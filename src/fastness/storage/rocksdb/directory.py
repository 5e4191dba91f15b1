"""Opening and creating the directory of a store that this process owns."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from fastness.errors import DiskFull, ForeignStore, StoreDamaged
from fastness.limits import Limits
from fastness.storage.failures import from_os_error
from fastness.storage.faults import Faults, Step
from fastness.storage.layout import IDENTITY_ROW, Table
from fastness.storage.rocksdb.engine import Tables
from fastness.storage.rocksdb.files import make_directory, sync_directory, sync_tree
from fastness.storage.rocksdb.high_water import (
    HighWater,
    HighWaterFile,
    manifest_in_force,
    read_high_water,
)
from fastness.storage.rocksdb.identity import (
    HIGH_WATER_FILE,
    RESERVE_FILE,
    TABLES,
    Identity,
    fresh_identity,
    read_identity,
    write_identity,
)
from fastness.storage.rocksdb.options import table_options
from fastness.storage.rocksdb.ownership import Ownership
from fastness.storage.rocksdb.recovery import check_files, check_sequence, named
from fastness.storage.rocksdb.reserve import OPENING_BYTES, Reserve
from fastness.storage.rocksdb.translation import RESTORE, translated


@dataclass(slots=True)
class OwnedDirectory:
    """Everything the owner of a directory holds open."""

    path: Path
    identity: str
    ownership: Ownership
    tables: Tables
    high_water: HighWaterFile
    reserve: Reserve

    def close(self, *, durably: bool) -> None:
        """Release all of it, then raise the first error met."""
        steps: tuple[Callable[[], None], ...] = (
            self.tables.close,
            lambda: self.high_water.close(durably=durably),
            self.ownership.release,
        )
        first: Exception | None = None
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
                first = first or error
        if first is not None and durably:
            raise translated(first, f"closing {self.path}") from first


def open_directory(path: Path, limits: Limits, faults: Faults) -> OwnedDirectory:
    """Open a directory, creating it if it is empty or not there.

    Raises `DirectoryHeld`, `ForeignStore`, `StoreDamaged`, `DiskFull` or `StoreReadOnly`.
    """
    read_identity(path)  # before anything of ours is put into a stranger's directory
    try:
        make_directory(path, exist_ok=True)
    except OSError as error:
        raise from_os_error(error, f"creating {path}") from error
    ownership = Ownership.take(path)
    try:
        return _open_owned(path, limits, ownership, faults)
    except BaseException as error:
        with suppress(OSError):
            ownership.release()
        if isinstance(error, Exception):
            raise translated(error, f"opening {path}") from error
        raise


def _open_owned(path: Path, limits: Limits, ownership: Ownership, faults: Faults) -> OwnedDirectory:
    identity = read_identity(path)
    reserve = Reserve(path / RESERVE_FILE, limits.write_buffer_bytes + OPENING_BYTES)
    if identity is None or identity.state == "creating":
        identity = _create(path, limits, reserve, faults)
    mark = read_high_water(path / HIGH_WATER_FILE)
    check_files(path / TABLES, mark, limits)
    tables = _open_tables(path / TABLES, limits, reserve)
    try:
        check_identity(tables, identity, path)
        reached = tables.root.latest_sequence_number()
        check_sequence(path / TABLES, reached, mark)
        high_water = HighWaterFile(path / HIGH_WATER_FILE, path / TABLES)
        # Recovery wrote all it found in the logs to table files, durably.
        high_water.note(reached)
        reserve.hold()
    except BaseException as failed:
        tables.close_after(failed)
        raise
    return OwnedDirectory(path, identity.identity, ownership, tables, high_water, reserve)


def _open_tables(path: Path, limits: Limits, reserve: Reserve) -> Tables:
    """Open the tables; on a full disk once more in the space of the reserve."""
    while True:
        try:
            return Tables(path, table_options(limits))
        except Exception as error:
            failure = translated(error, f"opening {path}")
            if isinstance(failure, DiskFull) and reserve.release():
                continue
            if isinstance(failure, StoreDamaged):
                failure = named(failure, path, limits)
            raise failure from error


def check_identity(tables: Tables, identity: Identity, path: Path) -> None:
    """Raise `ForeignStore` if the tables were created with another directory."""
    found = tables.families[Table.STATE].get(IDENTITY_ROW)
    if found != identity.identity.encode():
        raise ForeignStore(
            f"{path} is database {identity.identity}, but its tables are those of {found!r}: "
            f"two directories were mixed up. {RESTORE}"
        )


def _create(path: Path, limits: Limits, reserve: Reserve, faults: Faults) -> Identity:
    """Create the files of a store, or begin an interrupted creation again."""
    draft = fresh_identity(secrets.token_hex(16), "creating")
    write_identity(path, draft)
    faults(Step.CREATE_BEGIN)
    shutil.rmtree(path / TABLES, ignore_errors=True)
    if not reserve.hold():
        raise DiskFull(
            f"{path} has no room for the {reserve.size} bytes a database sets aside "
            "to survive a full disk: free some, or lower the limit write_buffer_bytes"
        )
    with closing(Tables(path / TABLES, table_options(limits, create=True))) as tables:
        tables.write_rows([(Table.STATE, IDENTITY_ROW, draft.identity.encode())])
        tables.flush()
        reached = tables.root.latest_sequence_number()
    faults(Step.CREATE_TABLES)
    return finish(path, draft.identity, reached)


def finish(path: Path, identity: str, reached: int) -> Identity:
    """Make a new directory's tables durable, then declare it complete."""
    manifest = manifest_in_force(path / TABLES)
    mark = HighWater(reached, manifest.number, manifest.size)
    HighWaterFile.create(path / HIGH_WATER_FILE, mark)
    sync_tree(path / TABLES)
    complete = fresh_identity(identity, "complete")
    write_identity(path, complete)
    sync_directory(path.parent)
    return complete


def identity_for_inspection(path: Path) -> Identity:
    """The identity of a directory that is only to be read."""
    identity = read_identity(path)
    if identity is None or identity.state == "creating":
        raise ForeignStore(f"{path} holds no database yet: open it for writing to create one")
    return identity
