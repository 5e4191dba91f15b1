"""The manifest of a backup: what belongs to it, and how to tell that none of it was changed.

::

    nightly/
        backup.json     the manifest: identity, moment, every file with size and digest
        store/          the store's own files, as its checkpoint wrote them

The manifest carries a digest of itself, so that damage to it is told from damage to a file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fastness.encoding.timestamps import Timestamp
from fastness.errors import ForeignStore, InvalidOption, StoreDamaged
from fastness.operations.durable_files import system_errors

BACKUP_FORMAT = 1
MANIFEST_NAME = "backup.json"
STORE_NAME = "store"
MANIFEST_BYTES_MAX = 64 << 20


class BackupFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup."""

    path: str
    """Below the backup's `store` directory, parts joined by '/'."""
    bytes: int
    sha256: str


class BackupManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup holds."""

    format: int
    identity: str
    """Of the database it was taken from."""
    timestamp: Timestamp
    """The highest commit timestamp in it: every commit at or below it is in the backup."""
    taken: datetime
    files: tuple[BackupFile, ...]
    sha256: str = ""
    """Of the manifest itself, this field left empty, in compact JSON."""

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(file.bytes for file in self.files)

    def sealed(self) -> BackupManifest:
        """The same manifest with its own digest."""
        return replace(self, sha256=self._digest())

    @property
    def is_sealed(self) -> bool:
        """Whether it is as it was when its digest was made."""
        return self.sha256 == self._digest()

    def _digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(replace(self, sha256=""))).hexdigest()


def encode_manifest(manifest: BackupManifest) -> bytes:
    """The text of `backup.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def is_backup(directory: Path) -> bool:
    """Whether a directory looks like a backup rather than a database."""
    return (directory / MANIFEST_NAME).is_file()


def read_manifest(backup: Path) -> BackupManifest:
    """The manifest of a backup; `StoreDamaged` unless it is as it was written."""
    path = backup / MANIFEST_NAME
    if not backup.is_dir():
        raise InvalidOption(f"{backup} is no directory, so no backup: name the one backup() made")
    if not is_backup(backup):
        raise InvalidOption(
            f"{backup} holds no {MANIFEST_NAME}: it is no backup, or one that was interrupted"
        )
    with system_errors(f"reading {path}"), path.open("rb") as file:
        content = file.read(MANIFEST_BYTES_MAX + 1)
    _refuse_other_formats(path, content)
    try:
        manifest = msgspec.json.decode(content, type=BackupManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
        raise StoreDamaged(f"{path} is damaged ({cause}): use another backup") from cause
    if not manifest.is_sealed:
        raise StoreDamaged(f"{path} was changed since it was written: use another backup")
    return manifest


class _Format(Struct):
    format: int


def _refuse_other_formats(path: Path, content: bytes) -> None:
    """The format is looked at first, since another one may have other fields."""
    try:
        found = msgspec.json.decode(content, type=_Format).format
    except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
        raise StoreDamaged(f"{path} is damaged ({cause}): use another backup") from cause
    if found != BACKUP_FORMAT:
        raise ForeignStore(
            f"{path} has backup format {found}, this version reads {BACKUP_FORMAT}: restore it "
            "with the version of Fastness that wrote it"
        )


def stored_files(directory: Path) -> Iterator[PurePosixPath]:
    """Every file below a directory, in order, by its path from there."""
    for folder, folders, names in os.walk(directory, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            yield PurePosixPath((Path(folder) / name).relative_to(directory).as_posix())


def _raise(error: OSError) -> None:
    raise error
