"""How far the log is known to be durable, kept outside the log: the `HIGHWATER` file.

RocksDB cannot tell a log whose end was cut off from one whose end was never acknowledged,
nor a manifest that lost its last edits from one that never had them. So after every
completed sync this file notes the sequence number reached and the manifest's number and
size. What one finds at the next open may be more, never less.

The note itself is not synced, which would double the cost of a commit. It is always true,
since it is written after the sync it tells of. It may be stale after a power failure, by as
long as the operating system keeps dirty pages (about 30 seconds); then a cut within that last
stretch goes unnoticed by this check. A killed process loses nothing of it. Two slots are
written in turns, so a torn note leaves the one before it.
"""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from fastness.errors import StoreDamaged
from fastness.storage.rocksdb.files import write_durably
from fastness.storage.rocksdb.translation import RESTORE

_note = Struct(">8sQQQ")
_checksum = Struct(">I")
_MAGIC = b"highwtr1"
SLOT_BYTES = 64
LOOK_EVERY = 64
"""Notes after which the manifest is looked at again."""
_PADDING = bytes(SLOT_BYTES - _note.size - _checksum.size)


@dataclass(frozen=True, slots=True, order=True)
class HighWater:
    """The lower bounds one note tells. They only rise, so the later of two is the greater."""

    sequence: int
    """RocksDB's sequence number: every write at or below it was synced."""
    manifest_number: int
    manifest_bytes: int


def encode_note(sequence: int, manifest_number: int, manifest_bytes: int) -> bytes:
    """One slot of the file."""
    content = _note.pack(_MAGIC, sequence, manifest_number, manifest_bytes)
    return content + _checksum.pack(zlib.crc32(content)) + _PADDING


def decode_notes(content: bytes, path: Path) -> HighWater:
    """The highest mark among the slots that are whole; `StoreDamaged` if none is."""
    marks = []
    for begin in (0, SLOT_BYTES):
        slot = content[begin : begin + _note.size]
        told = content[begin + _note.size : begin + _note.size + _checksum.size]
        if len(told) == _checksum.size and _checksum.pack(zlib.crc32(slot)) == told:
            magic, sequence, number, size = _note.unpack(slot)
            if magic == _MAGIC:
                marks.append(HighWater(sequence, number, size))
    if not marks:
        raise StoreDamaged(f"{path} holds no whole note of the log's high water: {RESTORE}")
    return max(marks)


def read_high_water(path: Path) -> HighWater:
    """The mark a store was left with."""
    try:
        return decode_notes(path.read_bytes(), path)
    except FileNotFoundError:
        raise StoreDamaged(f"{path} is missing: {RESTORE}") from None


def manifest_of(tables: Path) -> tuple[int, Path]:
    """The number and path of the manifest in force; `StoreDamaged` if that cannot be told."""
    current = tables / "CURRENT"
    try:
        name = current.read_text("ascii")
    except FileNotFoundError:
        raise StoreDamaged(f"{current} is missing: {RESTORE}") from None
    except UnicodeDecodeError as error:
        raise StoreDamaged(f"{current} does not name a manifest ({error}): {RESTORE}") from error
    prefix, _, number = name.strip().partition("-")
    if prefix != "MANIFEST" or not number.isdecimal() or not name.endswith("\n"):
        raise StoreDamaged(f"{current} names {name[:40]!r}, not a manifest: {RESTORE}")
    return int(number), tables / name.strip()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest in force: it changes before any file is deleted."""

    number: int
    path: Path
    size: int


def manifest_in_force(tables: Path) -> Manifest:
    """The manifest in force, also while an owner may replace it; `StoreDamaged` if none is."""
    while True:
        number, path = manifest_of(tables)
        try:
            return Manifest(number, path, path.stat().st_size)
        except FileNotFoundError:
            # Unless it was just replaced. Each turn follows a replacement, so this ends.
            if manifest_of(tables)[0] == number:
                raise StoreDamaged(f"{path} is missing: {RESTORE}") from None


def check_manifest(tables: Path, mark: HighWater) -> None:
    """Raise `StoreDamaged` if the manifest is missing, older or shorter than it was."""
    found = manifest_in_force(tables)
    if (found.number, found.size) < (mark.manifest_number, mark.manifest_bytes):
        raise StoreDamaged(
            f"{found.path} has {found.size} bytes; MANIFEST-{mark.manifest_number:06} had "
            f"{mark.manifest_bytes} when the database was last written: {RESTORE}"
        )


class HighWaterFile:
    """The open file, written after every sync by the owner."""

    def __init__(self, path: Path, tables: Path) -> None:
        self._tables = tables
        self._handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._slots = mmap.mmap(self._handle, 2 * SLOT_BYTES)
        self._notes = 0
        self._sequence = 0
        self._manifest_number, self._manifest = self._open_manifest()
        self._manifest_bytes = os.fstat(self._manifest).st_size

    @staticmethod
    def create(path: Path, mark: HighWater) -> None:
        """Write a new file, durably."""
        slot = encode_note(mark.sequence, mark.manifest_number, mark.manifest_bytes)
        write_durably(path, slot * 2)

    def note(self, sequence: int) -> None:
        """Note that everything up to `sequence` has been synced.

        Called after every fsync, when each instruction is dear, so it makes no system call:
        the file is mapped, and the manifest, which changes seldom, is looked at now and then.
        """
        if self._notes % LOOK_EVERY == 0:
            self._look_at_manifest()
        slot = encode_note(sequence, self._manifest_number, self._manifest_bytes)
        begin = SLOT_BYTES if self._notes & 1 else 0
        self._slots[begin : begin + SLOT_BYTES] = slot
        self._notes += 1
        self._sequence = sequence

    def _look_at_manifest(self) -> None:
        status = os.fstat(self._manifest)
        if status.st_nlink == 0:  # RocksDB began a new manifest and removed this one
            os.close(self._manifest)
            self._manifest_number, self._manifest = self._open_manifest()
            status = os.fstat(self._manifest)
        self._manifest_bytes = status.st_size

    def close(self, *, durably: bool) -> None:
        """Close the file; `durably` after the tables were closed in good order.

        Then the manifest has its final size, which background work may have changed since.
        """
        try:
            if durably:
                self._look_at_manifest()
                self.note(self._sequence)
                self._slots.flush()
                os.fsync(self._handle)
        finally:
            self._slots.close()
            os.close(self._handle)
            os.close(self._manifest)

    def _open_manifest(self) -> tuple[int, int]:
        number, path = manifest_of(self._tables)
        return number, os.open(path, os.O_RDONLY | os.O_CLOEXEC)
