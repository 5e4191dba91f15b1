"""Looking after a database: backup, restore, export, import, check.

Each is a function with a typed result. None prints; long ones report `Progress` to a callback,
and end cleanly when it raises. They block: from a task call them by `asyncio.to_thread`.
They take a `Database` or an `AsyncDatabase`.

    from pathlib import Path
    from fastness import operations

    operations.backup(db, Path("backups/monday"))                # while others go on writing
    operations.backup_directory(Path("data"), Path("backups/2")) # whoever holds the directory
    operations.restore(Path("backups/monday"), Path("data-new")) # verified, of a new identity
    report = operations.check(db)                                # report.findings

`docs/OPERATIONS.md` has the runbooks.
"""

from fastness.operations.backups import (
    BackupReport,
    RestoreReport,
    backup,
    backup_directory,
    restore,
    verify_backup,
)
from fastness.operations.checking import check
from fastness.operations.exporting import ExportReport, export_lines
from fastness.operations.findings import CheckReport, Finding
from fastness.operations.identities import Origin, origin_of
from fastness.operations.importing import (
    ImportMark,
    ImportReport,
    import_lines,
    import_mark,
    verify_lines,
)
from fastness.operations.manifest import BackupFile, BackupManifest, is_backup, read_manifest
from fastness.operations.progress import OnProgress, Progress

__all__ = [
    "BackupFile",
    "BackupManifest",
    "BackupReport",
    "CheckReport",
    "ExportReport",
    "Finding",
    "ImportMark",
    "ImportReport",
    "OnProgress",
    "Origin",
    "Progress",
    "RestoreReport",
    "backup",
    "backup_directory",
    "check",
    "export_lines",
    "import_lines",
    "import_mark",
    "is_backup",
    "origin_of",
    "read_manifest",
    "restore",
    "verify_backup",
    "verify_lines",
]
