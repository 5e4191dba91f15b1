"""Opening the database a command names.

Commands that only read open it for inspection: that works beside a process that holds the
directory, and never creates, changes or recovers anything. Commands that write own the
directory while they run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fastness
from fastness import Database
from fastness.cli.output import Output
from fastness.errors import DirectoryHeld, InvalidUrl

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")


def database_url(text: str) -> str:
    """The URL a text on the command line means: a plain path is a directory."""
    if not text:
        raise InvalidUrl("the name of the database is empty: name its directory")
    return text if _SCHEME.match(text) else f"file:{text}"


def directory_of(url: str) -> Path | None:
    """The directory a URL names, `None` where it names none."""
    scheme, _, place = url.partition(":")
    return Path(place) if scheme == "file" and place else None


def existing_directory(url: str) -> Path | None:
    """As `directory_of`; `InvalidUrl` where the directory is not there."""
    directory = directory_of(url)
    if directory is not None and not directory.exists():
        raise InvalidUrl(f"there is no directory {directory}: name that of a database")
    return directory


@contextmanager
def reading(database: str) -> Iterator[Database]:
    """A database to look at, whoever else holds it."""
    url = database_url(database)
    existing_directory(url)
    with fastness.open(url, read_only=True) as opened:
        yield opened


@contextmanager
def writing(database: str, output: Output) -> Iterator[Database]:
    """A database to change, created if it is not there; `DirectoryHeld` beside another holder."""
    url = database_url(database)
    directory = directory_of(url)
    creates = directory is not None and not directory.exists()
    try:
        opened = fastness.open(url)
    except DirectoryHeld as held:
        raise DirectoryHeld(
            f"{held}. Reading goes on beside it: get, scan, stat, check and export"
        ) from held
    with opened:
        if creates:
            output.remark(f"created a new database in {directory}")
        yield opened
