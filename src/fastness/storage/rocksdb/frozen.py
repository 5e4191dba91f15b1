"""Looking at tables that another process may be writing: read-only, frozen as of the opening.

RocksDB's read-only mode reads the manifest, then the logs, into memory. Beside a running
owner two things go wrong with it: the owner may flush and delete a log between the two, whose
writes would then be missing without a word; and opening writes a configuration file into
the directory.

So it is given a private folder: a copy of the manifest as it was at one moment, and links to
the table and log files, each held open so that its content stays although the owner may
delete it. Right is such a folder if it has every file that its manifest needs:

* a table file it lacks makes RocksDB refuse to open it; if the owner's manifest has gone on
  meanwhile, another attempt is made;
* a log it lacks RocksDB does not always miss. So logs are listed before the manifest is copied
  and opened after. The owner deletes logs oldest first: if each one listed was still there,
  none that this manifest needs was gone.

What it shows: everything acknowledged before the opening began, and perhaps commits under
way at that moment which are not durable yet. It does not move on.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from rocksdict import AccessType

from fastness.errors import StoreDamaged, StoreUnavailable
from fastness.limits import Limits
from fastness.storage.rocksdb.engine import Tables
from fastness.storage.rocksdb.high_water import Manifest, manifest_in_force
from fastness.storage.rocksdb.log_scan import log_files
from fastness.storage.rocksdb.options import TableOptions, table_options
from fastness.storage.rocksdb.translation import translated

ATTEMPTS = 100
"""Each lost attempt means that the owner deleted a needed file within a few milliseconds."""

OWN_FILES = Path("/proc/self/fd")
"""Where a file held open is reached although its name is gone (Linux)."""


class FrozenTables:
    """Tables opened for reading."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    @classmethod
    def open(cls, directory: Path, limits: Limits, *, up_to_damage: bool = False) -> FrozenTables:
        """Open the tables in `directory`. Raises `StoreDamaged` for damage that opening meets."""
        options = table_options(limits, for_inspection=True, up_to_damage=up_to_damage)
        for _attempt in range(ATTEMPTS):
            folder = Path(tempfile.mkdtemp(prefix="fastness-view-"))
            with ExitStack() as held:
                # The tables keep their files open; a link left behind might lead elsewhere.
                held.callback(shutil.rmtree, folder, ignore_errors=True)
                manifest = _freeze(directory, folder, held)
                if manifest is None:
                    continue
                try:
                    return cls(_open_folder(directory, folder, options))
                except StoreDamaged:
                    if manifest_in_force(directory) == manifest:
                        raise
        raise StoreUnavailable(
            f"{directory} changed during {ATTEMPTS} attempts to open it for reading: try again"
        )

    @property
    def sequence(self) -> int:
        """The last write these tables show."""
        return self.tables.root.latest_sequence_number()

    def close(self) -> None:
        """Release the tables."""
        self.tables.close()


def _freeze(directory: Path, folder: Path, held: ExitStack) -> Manifest | None:
    """Fill a folder with links, return the manifest copied; `None` if a log went meanwhile."""
    logs = log_files(directory)
    manifest = manifest_in_force(directory)
    try:
        with manifest.path.open("rb") as file:
            (folder / manifest.path.name).write_bytes(file.read(manifest.size))
        for path in logs:
            _link(path, folder, held)
    except FileNotFoundError:
        return None
    (folder / "CURRENT").write_text(f"{manifest.path.name}\n")
    for path in {*directory.glob("*.sst"), *log_files(directory)}.difference(logs):
        with suppress(FileNotFoundError):
            _link(path, folder, held)
    return manifest


def _link(path: Path, folder: Path, held: ExitStack) -> None:
    """Hold a file open, and link to what is held."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    held.callback(os.close, handle)
    link = OWN_FILES / str(handle)
    (folder / path.name).symlink_to(link if link.exists() else path.absolute())


def _open_folder(directory: Path, folder: Path, options: TableOptions) -> Tables:
    """Open a folder of links; errors name the directory it stands for."""
    try:
        return Tables(folder, options, AccessType.read_only(error_if_log_file_exist=False))
    except Exception as error:
        found = translated(error, f"opening {directory}")
        raise type(found)(str(found).replace(str(folder), str(directory))) from error
