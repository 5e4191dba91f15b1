"""Looking at tables that another process may be writing: read-only, frozen as of the opening.

RocksDB's read-only mode reads the manifest, then the logs, into memory. Beside a running
owner two things go wrong with it: the owner may flush and delete a log between the two, whose
writes would then be missing without a word; and opening writes a configuration file into
the directory.

So the files are reached through a private folder of symbolic links, which also makes
directories one may only read readable; and an opening counts only if the manifest in force
has not changed from before the links were made until every file was open. A log or table
file is deleted only after a manifest entry says that it is no longer needed.

What it shows: everything acknowledged before the opening began, and perhaps commits under
way at that moment which are not durable yet. It does not move on.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from rocksdict import AccessType

from fastness.errors import FastnessError, StoreUnavailable
from fastness.limits import Limits
from fastness.storage.rocksdb.engine import Tables
from fastness.storage.rocksdb.high_water import manifest_in_force
from fastness.storage.rocksdb.options import TableOptions, table_options
from fastness.storage.rocksdb.translation import translated

ATTEMPTS = 50
"""Each lost attempt means that the owner flushed or compacted within a few milliseconds."""


class FrozenTables:
    """Tables opened for reading through links; `close` removes the links."""

    def __init__(self, tables: Tables, links: Path) -> None:
        self.tables = tables
        self._links = links

    @classmethod
    def open(cls, directory: Path, limits: Limits, *, up_to_damage: bool = False) -> FrozenTables:
        """Open the tables in `directory`. Raises `StoreDamaged` for damage that opening meets."""
        options = table_options(limits, for_inspection=True, up_to_damage=up_to_damage)
        for _attempt in range(ATTEMPTS):
            before = manifest_in_force(directory)
            opened = cls._try_open(directory, options)
            unchanged = manifest_in_force(directory) == before
            if isinstance(opened, FastnessError):
                if unchanged:
                    raise opened
            elif unchanged:
                return opened
            else:
                opened.close()
        raise StoreUnavailable(
            f"{directory} changed during {ATTEMPTS} attempts to open it for reading: try again"
        )

    @classmethod
    def _try_open(cls, directory: Path, options: TableOptions) -> FrozenTables | FastnessError:
        links = Path(tempfile.mkdtemp(prefix="fastness-view-"))
        try:
            for path in directory.iterdir():
                if _is_needed(path.name):
                    (links / path.name).symlink_to(path.absolute())
            access = AccessType.read_only(error_if_log_file_exist=False)
            tables = Tables(links, options, access)
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            shutil.rmtree(links, ignore_errors=True)
            found = translated(error, f"opening {directory}")
            return type(found)(str(found).replace(str(links), str(directory)))
        return cls(tables, links)

    @property
    def sequence(self) -> int:
        """The last write these tables show."""
        return self.tables.root.latest_sequence_number()

    def close(self) -> None:
        """Release the tables and the links."""
        try:
            self.tables.close()
        finally:
            shutil.rmtree(self._links, ignore_errors=True)


def _is_needed(name: str) -> bool:
    return name == "CURRENT" or name.startswith("MANIFEST-") or name.endswith((".sst", ".log"))
