"""Files that are on the disk when the call returns: writing, copying, digests, renaming.

Every operation that makes a directory fills one of another name first, makes all of it
durable, and renames it last. So a directory under the name asked for is always complete,
whatever was interrupted; what is left of an interrupted operation is named `*.partial-*`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastness.errors import InvalidOption
from fastness.storage.failures import from_os_error

CHUNK_BYTES = 1 << 20


@contextmanager
def system_errors(doing: str) -> Iterator[None]:
    """Turn what the operating system refuses into a `StoreError` that says what was tried."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing) from error


def require_absent(target: Path) -> None:
    """Refuse a target that exists, or whose parent directory does not."""
    if os.path.lexists(target):
        raise InvalidOption(f"{target} exists already: name a path where nothing is yet")
    if not target.parent.is_dir():
        raise InvalidOption(f"{target.parent} is no directory: create it first")


@contextmanager
def completed_directory(target: Path) -> Iterator[Path]:
    """A new directory beside `target` to fill; renamed to `target` at the end, or removed.

    Everything in it must be durable before the block ends, and the rename is when it does.
    """
    require_absent(target)
    partial = target.with_name(f"{target.name}.partial-{secrets.token_hex(4)}")
    try:
        with system_errors(f"creating {target}"):
            partial.mkdir()
        yield partial
        require_absent(target)
        with system_errors(f"creating {target}"):
            sync_directory(partial)
            partial.rename(target)
            sync_directory(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def completed_file(target: Path) -> Iterator[BinaryIO]:
    """A new file to write; it appears as `target` at the end, durable, or not at all."""
    require_absent(target)
    partial = target.with_name(f"{target.name}.partial-{secrets.token_hex(4)}")
    try:
        with system_errors(f"writing {target}"), partial.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        require_absent(target)
        with system_errors(f"writing {target}"):
            partial.rename(target)
            sync_directory(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: bytes) -> None:
    """A new file, durable but for its name."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def digest_file(path: Path, moved: Callable[[int], object]) -> str:
    """The SHA-256 of a file's bytes in hexadecimal digits; `moved` hears of each chunk's size."""
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
        moved(len(chunk))
    return digest.hexdigest()


def copy_file(source: Path, target: Path, moved: Callable[[int], object]) -> str:
    """Copy into a new durable file; returns the SHA-256 of the bytes that were copied."""
    digest = hashlib.sha256()
    with target.open("xb") as file:
        for chunk in _chunks(source):
            digest.update(chunk)
            file.write(chunk)
            moved(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
