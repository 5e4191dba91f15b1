"""Copying a store's directory while whoever holds it goes on writing, without asking them.

The argument is that of `fastness.storage.rocksdb.frozen`: RocksDB deletes a log or table file
only after an entry of the manifest says that it is no longer needed. So every file is opened
first, and the opened files count only if the manifest in force is the same before and after:
then they hold everything that manifest refers to, and stay readable though their names may be
deleted meanwhile. Of the manifest exactly that much is copied. The logs are copied as far as
they have come, which may be inside a commit under way: a last record that is cut short is
one nobody was told about. What was acknowledged before the copy began is always in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastness.errors import StoreDamaged, StoreUnavailable
from fastness.limits import Limits
from fastness.operations.durable_files import CHUNK_BYTES
from fastness.storage.rocksdb.directory import finish, identity_for_inspection
from fastness.storage.rocksdb.frozen import FrozenTables
from fastness.storage.rocksdb.high_water import manifest_of, read_high_water
from fastness.storage.rocksdb.identity import HIGH_WATER_FILE, TABLES
from fastness.storage.rocksdb.recovery import check_sequence

ATTEMPTS = 100
"""Each lost attempt means that the owner flushed or compacted within a few milliseconds."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """The files of one moment, and how much of the manifest belongs to it."""

    files: dict[str, BinaryIO]
    manifest: str
    manifest_bytes: int

    @property
    def bytes(self) -> int:
        return sum(os.fstat(file.fileno()).st_size for file in self.files.values())


def copy_directory(
    source: Path, target: Path, limits: Limits, moved: Callable[[int, int], object]
) -> str:
    """Copy the store in `source` to a new directory `target`, durable when this returns.

    Returns its identity, which it keeps. `moved` hears of each chunk: its size, and how much
    there is in all.
    Raises `ForeignStore` where there is no store, `StoreDamaged` where it cannot be opened.
    """
    identity = identity_for_inspection(source)
    mark = read_high_water(source / HIGH_WATER_FILE)
    tables = target / TABLES
    tables.mkdir(parents=True)
    with ExitStack() as stack:
        opened = _open_all(source / TABLES, stack)
        total = opened.bytes
        for name, file in opened.files.items():
            limit = opened.manifest_bytes if name == opened.manifest else None
            with (tables / name).open("xb") as copy:
                for chunk in _chunks(file, limit):
                    copy.write(chunk)
                    moved(len(chunk), total)
    (tables / "CURRENT").write_text(f"{opened.manifest}\n")
    with closing(FrozenTables.open(tables, limits)) as frozen:
        reached = frozen.sequence
    check_sequence(tables, reached, mark)
    return finish(target, identity.identity, reached).identity


def _open_all(tables: Path, stack: ExitStack) -> _Opened:
    """Every file of the manifest in force, opened; the caller's stack closes them."""
    for _attempt in range(ATTEMPTS):
        with ExitStack() as attempt:
            before = _manifest_in_force(tables)
            files = _try_open(tables, before[0], attempt)
            if files is not None and _manifest_in_force(tables) == before:
                stack.push(attempt.pop_all())
                return _Opened(files, *before)
    raise StoreUnavailable(
        f"{tables} changed during {ATTEMPTS} attempts to copy it: try again, or call "
        "fastness.operations.backup in the process that holds it"
    )


def _try_open(tables: Path, manifest: str, stack: ExitStack) -> dict[str, BinaryIO] | None:
    """The files opened by name; `None` when one of them was deleted meanwhile."""
    files: dict[str, BinaryIO] = {}
    try:
        for path in sorted(tables.iterdir()):
            if path.suffix in {".sst", ".log"} or path.name == manifest:
                files[path.name] = stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None
    return files


def _manifest_in_force(tables: Path) -> tuple[str, int]:
    """The manifest's name and size: what changes before any file is deleted."""
    while True:
        number, path = manifest_of(tables)
        try:
            return path.name, path.stat().st_size
        except FileNotFoundError:
            if manifest_of(tables)[0] == number:
                raise StoreDamaged(f"{path} is missing: restore a backup") from None


def _chunks(file: BinaryIO, limit: int | None) -> Iterator[bytes]:
    """The file to its end, or as far as `limit`."""
    left = limit
    while left is None or left > 0:
        chunk = file.read(CHUNK_BYTES if left is None else min(left, CHUNK_BYTES))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk
