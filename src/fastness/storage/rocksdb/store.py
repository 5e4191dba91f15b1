"""The RocksDB stores: one that owns its directory, and one that reads beside an owner.

One column family per table, one unsynced WriteBatch per group commit, then one sync of the
write-ahead log with the interpreter lock released. `options` says how tables are opened,
`recovery` what is checked before, `high_water` how a log that lost its end is found out,
`frozen` how a directory is read beside its owner.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

from rocksdict import Checkpoint

from fastness.encoding.intervals import KeyInterval
from fastness.errors import (
    DatabaseClosed,
    DiskFull,
    FastnessError,
    InvalidOption,
    StoreDamaged,
    StoreReadOnly,
)
from fastness.limits import MIB, Limits
from fastness.storage.base import RowStore
from fastness.storage.contract import Damage, StoreSize
from fastness.storage.faults import Faults, Step, no_faults
from fastness.storage.layout import (
    RANGE_ROWS,
    Put,
    RangeRow,
    Table,
    decode_range_id,
    decode_range_value,
)
from fastness.storage.planning import PlannedRows
from fastness.storage.reading import EVERYTHING, stream
from fastness.storage.rocksdb.directory import (
    OwnedDirectory,
    check_identity,
    finish,
    identity_for_inspection,
    open_directory,
)
from fastness.storage.rocksdb.engine import Tables
from fastness.storage.rocksdb.files import bytes_below, make_directory
from fastness.storage.rocksdb.frozen import FrozenTables
from fastness.storage.rocksdb.identity import (
    TABLES,
    fresh_identity,
    write_identity,
)
from fastness.storage.rocksdb.recovery import open_frozen
from fastness.storage.rocksdb.translation import translated
from fastness.storage.rocksdb.view import RocksView
from fastness.storage.verification import Verification

VERIFY_CACHE_BYTES = 8 * MIB

LOOKED_UP_TOGETHER = 4
"""Keys from which on one lookup of all costs less than one of each."""


class TablesStore(RowStore):
    """What both stores share: reading from open tables."""

    def __init__(
        self, path: Path, tables: Tables, *, identity: str, limits: Limits, faults: Faults
    ) -> None:
        super().__init__(identity=identity, faults=faults)
        self._path = path
        self._tables = tables
        self._limits = limits
        self.newest = tables.families[Table.NEWEST].get
        self._load_ranges(self._read_ranges())

    def size(self) -> StoreSize:
        """Sizes now; counts are RocksDB's estimates."""
        self._check()
        newest, history, log = (
            self._tables.estimated_rows(table) for table in (Table.NEWEST, Table.HISTORY, Table.LOG)
        )
        return StoreSize(bytes_below(self._path / TABLES), newest, history, log)

    def _read_ranges(self) -> dict[int, RangeRow]:
        ranges = {}
        with self._view(EVERYTHING) as view:
            for row, value in stream(view, Table.STATE, RANGE_ROWS):
                ranges[decode_range_id(row)] = decode_range_value(value)
        return ranges

    def _newest_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if len(keys) < LOOKED_UP_TOGETHER:
            return list(map(self.newest, keys))
        self._check()
        return cast("list[bytes | None]", self._tables.families[Table.NEWEST].get(list(keys)))

    def _view(self, interval: KeyInterval) -> RocksView:
        return RocksView(self._tables, interval)

    def _live_keys(self, interval: KeyInterval) -> Sequence[bytes]:
        with self._view(interval) as view:
            return [key for key, _cell in stream(view, Table.NEWEST, interval)]

    def _state_value(self, row: bytes) -> bytes | None:
        try:
            value: bytes | None = self._tables.families[Table.STATE].get(row)
        except Exception as error:
            raise self.failure(error) from error
        return value

    def _close_newest(self) -> None:
        # Copies of the bound call refuse as well once the family is closed.
        self._tables.close_family(Table.NEWEST)

    def _translated(self, error: BaseException, doing: str) -> FastnessError:
        return translated(error, doing)


class RocksStore(TablesStore):
    """A `Store` that owns its directory; the contract's page says what each call promises."""

    def __init__(self, owned: OwnedDirectory, limits: Limits, faults: Faults) -> None:
        """Take over an opened directory; call `RocksStore.open`."""
        self._owned = owned
        super().__init__(
            owned.path, owned.tables, identity=owned.identity, limits=limits, faults=faults
        )
        self._released = False
        _owning.add(self)

    @classmethod
    def open(
        cls, path: Path, *, limits: Limits | None = None, faults: Faults = no_faults
    ) -> RocksStore:
        """Open the database in a directory, creating it if that is empty or not there.

        Raises `DirectoryHeld`, `ForeignStore`, `StoreDamaged`, `DiskFull` or `StoreReadOnly`.
        """
        limits = limits or Limits()
        owned = open_directory(Path(path).absolute(), limits, faults)
        try:
            return cls(owned, limits, faults)
        except BaseException:
            owned.close(durably=False)
            raise

    def checkpoint(self, target: Path) -> None:
        """A consistent, durable copy at `target`, which must not exist. Writers go on.

        On the same file system table files are linked, not copied.
        """
        self._check()
        if target.exists():
            raise InvalidOption(f"{target} exists: name a directory that does not")
        try:
            self._faults(Step.CHECKPOINT_BEGIN)
            make_directory(target, exist_ok=False)
        except Exception as error:
            # Whatever stands there now is somebody else's.
            raise translated(error, f"copying to {target}") from error
        try:
            write_identity(target, fresh_identity(self._identity, "copying"))
            reached = self._tables.root.latest_sequence_number()
            # The copying holds the interpreter lock for as long as it flushes; this does not.
            self._tables.flush()
            Checkpoint(self._tables.root).create_checkpoint(str(target / TABLES))
            self._faults(Step.CHECKPOINT_COPIED)
            finish(target, self._identity, reached)
        except BaseException as error:
            shutil.rmtree(target, ignore_errors=True)
            if isinstance(error, Exception):
                raise translated(error, f"copying to {target}") from error
            raise

    def verify(self, progress: Callable[[int], None] = lambda _done: None) -> list[Damage]:
        """Read every table from disk, check checksums, order and what rows say together."""
        self._check()
        if self._refusal is None:
            self.sync()
        return verify_directory(self._path, self._limits, progress)

    def _write_batch(self, rows: PlannedRows) -> None:
        self._tables.write(rows)

    def _write_rows(self, puts: list[Put]) -> None:
        self._tables.write_rows(puts)

    def _make_durable(self) -> None:
        root = self._tables.root
        reached = root.latest_sequence_number()
        root.flush_wal(sync=True)
        self._owned.high_water.note(reached)

    def _check_writable(self) -> None:
        self._check()
        reserve = self._owned.reserve
        if not reserve.held and not reserve.hold():
            raise DiskFull(
                f"the disk of {self._path} is full: writes are refused until the "
                f"{reserve.size} bytes of its reserve are free again"
            )

    def _release(self, *, durably: bool) -> None:
        if self._released:
            return
        self._released = True
        _owning.discard(self)
        try:
            if durably:
                self._make_durable()
        finally:
            self._owned.close(durably=durably)

    def disown(self) -> None:
        """In a forked child: refuse everything, and leave the parent's files alone.

        The engine must not even be freed: its destructor waits for threads that exist only
        in the parent, and would write to the parent's files. So one reference is kept for ever,
        and the newest table is not closed either: that waits for them too. A copy of `newest`
        made before the fork goes on reading what the parent had then; nothing else does.
        """
        self._renew_locks()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._tables.root))
        self._released = True
        self._owned.ownership.disown()
        self._refusal = DatabaseClosed(
            f"{self._path} was inherited through a fork: open the database in the child"
        )
        self.newest = self._refuse_newest


class InspectedStore(TablesStore):
    """A directory as it was when opened, read-only, whether or not a process owns it.

    It shows everything acknowledged before the opening began, perhaps commits under way at
    that moment too, and does not move on. Every write raises `StoreReadOnly`.
    """

    def __init__(self, path: Path, frozen: FrozenTables, *, identity: str, limits: Limits) -> None:
        """Take over frozen tables; call `InspectedStore.open`."""
        self._frozen = frozen
        super().__init__(path, frozen.tables, identity=identity, limits=limits, faults=no_faults)

    @classmethod
    def open(cls, path: Path, *, limits: Limits | None = None) -> InspectedStore:
        """Open a directory for reading. Raises `ForeignStore` or `StoreDamaged`."""
        path = Path(path).absolute()
        limits = limits or Limits()
        identity = identity_for_inspection(path)
        frozen = open_frozen(path, limits)
        try:
            check_identity(frozen.tables, identity, path)
            return cls(path, frozen, identity=identity.identity, limits=limits)
        except BaseException:
            frozen.close()
            raise

    def checkpoint(self, target: Path) -> None:
        """Refused: a checkpoint is made by the owner."""
        raise self._read_only(f"a checkpoint to {target}")

    def verify(self, progress: Callable[[int], None] = lambda _done: None) -> list[Damage]:
        """Read every table, check checksums, order and what rows say together."""
        self._check()
        with self._view(EVERYTHING) as view:
            return Verification(view, progress).run()

    def sync(self) -> None:
        """Nothing is ever undurable here."""
        self._check()

    def _check_writable(self) -> None:
        self._check()
        raise self._read_only("a write")

    def _read_only(self, what: str) -> StoreReadOnly:
        return StoreReadOnly(
            f"{what} is refused: {self._path} was opened for inspection. Open it without "
            "read_only, or ask the process that owns it"
        )

    def _write_batch(self, rows: PlannedRows) -> None:
        raise self._read_only(f"a batch of {len(rows.newest)} keys")

    def _write_rows(self, puts: list[Put]) -> None:
        raise self._read_only(f"a write of {len(puts)} rows")

    def _make_durable(self) -> None:
        raise self._read_only("a sync")

    def _release(self, *, durably: bool) -> None:
        del durably
        self._frozen.close()


def verify_directory(path: Path, limits: Limits, progress: Callable[[int], None]) -> list[Damage]:
    """Everything found wrong in a directory, read afresh from its disk."""
    limits = replace(limits, block_cache_bytes=min(limits.block_cache_bytes, VERIFY_CACHE_BYTES))
    try:
        with (
            closing(open_frozen(path, limits)) as frozen,
            RocksView(frozen.tables, EVERYTHING) as view,
        ):
            return Verification(view, progress).run()
    except StoreDamaged as damage:
        return [Damage(str(path / TABLES), str(damage))]


_owning: weakref.WeakSet[RocksStore] = weakref.WeakSet()


def _disown_all() -> None:
    for store in list(_owning):
        store.disown()


os.register_at_fork(after_in_child=_disown_all)
