"""The directory the demo writes to: made by it, recognised by it, never anybody else's.

::

    demo-data/
        fastness-demo.txt    says whose directory this is
        database/            what `fastness.open("file:...")` opens

A directory that holds something else is refused. One that an earlier demo left is used again:
its database is replaced, unless some process has it open.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import fastness
from fastness.errors import DirectoryHeld, FastnessError

MARKER = "fastness-demo.txt"
DATABASE = "database"
_SAYS = (
    "This directory belongs to the demo of Fastness: `fastness demo` replaces the database in\n"
    "it each time it runs. Delete the directory when you have seen enough.\n"
)


class PlaceRefused(Exception):
    """The directory is not the demo's to write to; the message says what to do."""


def claim(directory: Path) -> Path:
    """Make the directory ready for a new demo; answers where its database goes.

    `PlaceRefused` for anything that is not empty and not the demo's, or is in use.
    """
    database = directory / DATABASE
    try:
        if directory.is_dir() and any(directory.iterdir()):
            _require_own(directory)
            _require_unused(database)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / MARKER).write_text(_SAYS, encoding="utf-8")
        if database.exists():
            shutil.rmtree(database)
    except OSError as error:
        raise PlaceRefused(
            f"{directory} cannot be used: {error.strerror}; choose another one with --directory"
        ) from error
    return database


def _require_own(directory: Path) -> None:
    others = {entry.name for entry in directory.iterdir()} - {MARKER, DATABASE}
    if others or not (directory / MARKER).is_file():
        shown = sorted(others)[:3] or [DATABASE]
        raise PlaceRefused(
            f"{directory} holds what is not the demo's ({', '.join(shown)}): nothing was touched; "
            "choose another directory with --directory"
        )


def _require_unused(database: Path) -> None:
    if not database.exists():
        return
    try:
        fastness.open(f"file:{database}").close()
    except DirectoryHeld as error:
        raise PlaceRefused(f"the database of an earlier demo is in use: {error}") from error
    except FastnessError:
        return  # Whatever is wrong with it, it is about to be replaced.


def bytes_on_disk(directory: Path) -> int:
    """What the files below a directory take up on disk."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())
