"""Backup and restore: a copy with a manifest, and a database made from it.

A backup is taken while others go on reading and writing, by the process that has the database
open or beside it, and holds one moment of all the data. Its manifest lists each file with its
SHA-256; restoring digests every byte it copies, so what was changed on the way is refused, and
nothing appears under the target's name until all of it is durable there and was opened once.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fastness.client import AsyncDatabase, Database
from fastness.encoding.timestamps import Timestamp
from fastness.errors import StoreDamaged
from fastness.invariants import check
from fastness.limits import Limits
from fastness.operations.copying import copy_directory
from fastness.operations.durable_files import (
    completed_directory,
    copy_file,
    digest_file,
    sync_directory,
    system_errors,
    write_file,
)
from fastness.operations.findings import Finding
from fastness.operations.identities import Origin, renew_identity
from fastness.operations.manifest import (
    BACKUP_FORMAT,
    MANIFEST_NAME,
    STORE_NAME,
    BackupFile,
    BackupManifest,
    encode_manifest,
    read_manifest,
    stored_files,
)
from fastness.operations.progress import OnProgress, Progress, unwatched
from fastness.storage import InspectedStore, RocksStore


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds."""

    path: Path
    identity: str
    """Of the database."""
    timestamp: Timestamp
    """The highest commit timestamp in the backup: it holds every commit at or below it."""
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore made."""

    path: Path
    identity: str
    """The new database's own."""
    origin: Origin
    files: int
    bytes: int


class _Moved:
    """Counts bytes through the files of one stage."""

    def __init__(self, progress: OnProgress, stage: str, total: int | None) -> None:
        self._progress = progress
        self._stage = stage
        self._total = total
        self._done = 0

    def __call__(self, count: int, total: int | None = None) -> None:
        """So many more bytes were moved; of `total`, where that is known only now."""
        self._done += count
        self._progress(Progress(self._stage, self._done, total or self._total, "bytes"))


def backup(
    database: Database | AsyncDatabase,
    target: Path | str,
    *,
    progress: OnProgress = unwatched,
) -> BackupReport:
    """Back up an open database into a new directory `target`, while others go on writing.

    On the same file system the table files are links to the database's, which costs no
    space and protects from mistakes, not from the disk: copy the backup elsewhere.

    `InvalidOption` for a target that exists and for a database in memory (export that),
    `StoreReadOnly` for a database opened for inspection (`backup_directory` takes that).
    """
    store = database.embedded.store
    with completed_directory(Path(target)) as partial:
        store.checkpoint(partial / STORE_NAME)
        return _sealed(partial, Path(target), store.identity, progress)


def backup_directory(
    source: Path | str,
    target: Path | str,
    *,
    limits: Limits | None = None,
    progress: OnProgress = unwatched,
) -> BackupReport:
    """Back up the database in a directory, whichever process holds it, into a new directory.

    The holder is neither asked nor hindered; every file is copied. What it acknowledged
    before the call is in the backup.

    `InvalidOption` for a target that exists, `ForeignStore` for a directory without a
    database, `StoreDamaged` for one that cannot be opened.
    """
    source, target, limits = Path(source), Path(target), limits or Limits()
    moved = _Moved(progress, "copying", None)
    with completed_directory(target) as partial:
        with system_errors(f"copying {source} to {target}"):
            identity = copy_directory(source, partial / STORE_NAME, limits, moved)
        return _sealed(partial, target, identity, progress)


def _sealed(partial: Path, target: Path, identity: str, progress: OnProgress) -> BackupReport:
    """Open the copied store once, digest it, and write the manifest."""
    with closing(InspectedStore.open(partial / STORE_NAME)) as copied:
        check(copied.identity == identity, "a copied store keeps its identity")
        timestamp = copied.applied
    with system_errors(f"writing {target}"):
        manifest = BackupManifest(
            format=BACKUP_FORMAT,
            identity=identity,
            timestamp=timestamp,
            taken=datetime.now(UTC),
            files=_digested(partial / STORE_NAME, progress),
        ).sealed()
        write_file(partial / MANIFEST_NAME, encode_manifest(manifest))
    return BackupReport(target, identity, timestamp, len(manifest.files), manifest.bytes)


def _digested(directory: Path, progress: OnProgress) -> tuple[BackupFile, ...]:
    sizes = {path: (directory / path).stat().st_size for path in stored_files(directory)}
    moved = _Moved(progress, "digesting", sum(sizes.values()))
    return tuple(
        BackupFile(str(path), size, digest_file(directory / path, moved))
        for path, size in sizes.items()
    )


def verify_backup(
    backup: Path | str, *, progress: OnProgress = unwatched
) -> tuple[BackupManifest, tuple[Finding, ...]]:
    """Read every file of a backup; its manifest, and what is not as the manifest says.

    `StoreDamaged` where the manifest itself is damaged, `InvalidOption` where there is none.
    """
    backup = Path(backup)
    manifest = read_manifest(backup)
    with system_errors(f"reading {backup}"):
        findings = list(_wrong_names(backup, manifest))
        missing = {finding.place for finding in findings}
        moved = _Moved(progress, "verifying", manifest.bytes)
        for file in manifest.files:
            if file.path not in missing:
                sha256 = digest_file(backup / STORE_NAME / file.path, moved)
                findings += _wrong_content(file, sha256)
    return manifest, tuple(findings)


def _wrong_names(backup: Path, manifest: BackupManifest) -> list[Finding]:
    """Files that are missing, and files that do not belong to the backup."""
    there = set(map(str, stored_files(backup / STORE_NAME)))
    listed = {file.path for file in manifest.files}
    missing = [Finding("backup", path, "is missing") for path in sorted(listed - there)]
    added = [Finding("backup", path, "was added later") for path in sorted(there - listed)]
    return missing + added


def _wrong_content(file: BackupFile, sha256: str) -> list[Finding]:
    if sha256 == file.sha256:
        return []
    return [Finding("backup", file.path, f"was changed: its SHA-256 is {sha256}")]


def restore(
    backup: Path | str,
    target: Path | str,
    *,
    limits: Limits | None = None,
    progress: OnProgress = unwatched,
) -> RestoreReport:
    """Make a database in a new directory `target` from a backup, every byte verified.

    The database gets an identity of its own and remembers where it came from (`origin_of`);
    its schema, timestamps and history are those of the backup, and new timestamps rise from
    there. The backup is only read.

    `InvalidOption` for a target that exists, `StoreDamaged` for a backup that is not as its
    manifest says; nothing is left at the target then.
    """
    backup, target, limits = Path(backup), Path(target), limits or Limits()
    manifest = read_manifest(backup)
    _refuse(backup, _wrong_names(backup, manifest))
    origin = Origin(manifest.identity, manifest.timestamp)
    with completed_directory(target) as partial:
        with system_errors(f"restoring to {target}"):
            _copy(backup, manifest, partial, progress)
        identity = renew_identity(partial, origin, limits)
        RocksStore.open(partial, limits=limits).close()
    return RestoreReport(target, identity, origin, len(manifest.files), manifest.bytes)


def _copy(backup: Path, manifest: BackupManifest, target: Path, progress: OnProgress) -> None:
    moved = _Moved(progress, "restoring", manifest.bytes)
    folders = {target}
    for file in manifest.files:
        place = target / file.path
        if place.parent not in folders:
            place.parent.mkdir(parents=True)
            folders.add(place.parent)
        sha256 = copy_file(backup / STORE_NAME / file.path, place, moved)
        _refuse(backup, _wrong_content(file, sha256))
    for folder in folders:
        sync_directory(folder)


def _refuse(backup: Path, findings: list[Finding]) -> None:
    if findings:
        wrong = "; ".join(f"{finding.place} {finding.what}" for finding in findings[:3])
        more = f"; and {len(findings) - 3} more" if len(findings) > 3 else ""
        raise StoreDamaged(f"{backup} is damaged: {wrong}{more}. Use another backup")
