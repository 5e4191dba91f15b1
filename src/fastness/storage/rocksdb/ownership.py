"""One process owns a directory: a lock the operating system drops when the process dies.

`flock` on the `OWNER` file, which also says who holds it, for the error of whoever comes
second. The lock belongs to the open file, so a second open in the same process is refused
too, and a forked child that closes its copy of the file takes nothing from its parent.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from pathlib import Path

import msgspec

from fastness.errors import DirectoryHeld
from fastness.storage.failures import from_os_error
from fastness.storage.rocksdb.identity import OWNER_FILE

COMMAND_CHARACTERS_MAX = 200


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a directory."""

    pid: int
    host: str
    since: str
    command: str


class Ownership:
    """The lock of a directory, held from `take` to `release`."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def take(cls, directory: Path) -> Ownership:
        """Take the lock, or raise `DirectoryHeld` naming the holder."""
        path = directory / OWNER_FILE
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise from_os_error(error, f"opening {path}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if not isinstance(error, BlockingIOError):
                raise from_os_error(error, f"locking {path}") from error
            raise DirectoryHeld(_held_by(directory, read_owner(directory))) from None
        _write_owner(handle)
        return cls(handle)

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            os.close(self._handle)
            self._handle = None

    def disown(self) -> None:
        """In a forked child: close the inherited copy, which leaves the parent its lock."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def read_owner(directory: Path) -> Owner | None:
    """Who says they hold a directory; `None` where nobody does or it cannot be read."""
    try:
        return msgspec.json.decode((directory / OWNER_FILE).read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write_owner(handle: int) -> None:
    """Say who holds the lock. Not durable: it means something only while the lock is held."""
    owner = Owner(
        pid=os.getpid(),
        host=socket.gethostname(),
        since=time.strftime("%Y-%m-%d %H:%M:%S %z"),
        command=" ".join(" ".join(sys.orig_argv).split())[:COMMAND_CHARACTERS_MAX],
    )
    os.ftruncate(handle, 0)
    try:
        os.pwrite(handle, msgspec.json.encode(owner) + b"\n", 0)
    except OSError:  # a full disk: the lock holds all the same, only nameless
        os.ftruncate(handle, 0)


def _held_by(directory: Path, owner: Owner | None) -> str:
    advice = (
        "write through that process or close it there, or open it here with read_only=True; "
        "processes share a database through a server ('fastness serve', then its URL)"
    )
    if owner is None:
        return f"{directory} is held by another process: {advice}"
    if owner.pid == os.getpid() and owner.host == socket.gethostname():
        return (
            f"{directory} is already open in this process (since {owner.since}): use that "
            "database, or close it first"
        )
    return (
        f"{directory} is held by process {owner.pid} on {owner.host} since {owner.since} "
        f"({owner.command}): {advice}"
    )
