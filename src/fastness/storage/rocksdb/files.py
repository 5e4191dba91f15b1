"""Small files written so that a crash leaves the old content or the new, never a mixture."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_directory(path: Path, *, exist_ok: bool) -> None:
    """Make a directory and the parents it lacks, the names that lead to it durable."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=exist_ok)
    for folder in made:
        sync_directory(folder.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file's content atomically and durably."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_directory(path.parent)


def sync_tree(directory: Path) -> None:
    """Make every file below a directory durable, and the names that lead to them."""
    for folder, _folders, names in os.walk(directory):
        for name in names:
            handle = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_directory(Path(folder))


def bytes_below(directory: Path) -> int:
    """The space the files below a directory take, as their sizes say."""
    total = 0
    for folder, _folders, names in os.walk(directory):
        for name in names:
            try:
                total += (Path(folder) / name).stat().st_size
            except FileNotFoundError:  # deleted by a compaction meanwhile
                continue
    return total
