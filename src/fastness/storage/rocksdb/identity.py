"""What a store's directory is: the `FASTNESS` file, and what may be done with what one finds.

::

    PATH/FASTNESS      program, format version, engine, identity, state
    PATH/OWNER         locked by the process that has it open, and who that is
    PATH/HIGHWATER     how far the log was made durable (see `high_water`)
    PATH/RESERVE       space given up when the disk is full (see `reserve`)
    PATH/tables/       RocksDB's own files

The file is written first with the state "creating" and again, "complete", once the tables
stand, so a creation that was interrupted is told from a damaged store: nothing was ever
acknowledged in it, and the next open starts it over. A checkpoint's target is "copying" till
it is whole; one that stayed so is refused, lest half a backup opens as an empty database.
The identity stands in the tables as well; two directories mixed up by hand are found out.

Format rule: a version of Fastness opens and writes `FORMAT`, and refuses every other: the way up
and down is export and import.

    1   a range's row has four numbers, and no range keeps records
    2   four tables; what expires when stands among the keys, and only an embedded database keeps it
    3   five tables, as `fastness.storage.layout` has them
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec

from fastness.errors import ForeignStore, StoreDamaged
from fastness.storage.rocksdb.files import write_durably

FORMAT = 3
PROGRAM = "fastness"
ENGINE = "rocksdb"

IDENTITY_FILE = "FASTNESS"
OWNER_FILE = "OWNER"
HIGH_WATER_FILE = "HIGHWATER"
RESERVE_FILE = "RESERVE"
TABLES = "tables"

State = Literal["creating", "copying", "complete"]

_IDENTITY = re.compile(r"[0-9a-f]{32}")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the `FASTNESS` file."""

    program: str
    format: int
    engine: str
    identity: str
    state: State


def fresh_identity(identity: str, state: State) -> Identity:
    """The identity file of a directory written now."""
    return Identity(program=PROGRAM, format=FORMAT, engine=ENGINE, identity=identity, state=state)


def write_identity(directory: Path, identity: Identity) -> None:
    """Write the `FASTNESS` file atomically and durably."""
    text = msgspec.json.format(msgspec.json.encode(identity), indent=2) + b"\n"
    write_durably(directory / IDENTITY_FILE, text)


def read_identity(directory: Path) -> Identity | None:
    """The identity of a directory; `None` for one that is empty or not there.

    Raises `ForeignStore` for a directory of another program, engine or format version, and
    `StoreDamaged` for an identity file that cannot be read.
    """
    path = directory / IDENTITY_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        _refuse_strangers(directory)
        return None
    except NotADirectoryError:
        raise ForeignStore(f"{directory} is a file, not a directory: name another") from None
    return decode_identity(content, path)


def decode_identity(content: bytes, path: Path) -> Identity:
    """Decode and check an identity file's content."""
    try:
        identity = msgspec.json.decode(content, type=Identity)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreDamaged(
            f"{path} is not an identity file ({error}): restore it from a backup"
        ) from error
    if identity.program != PROGRAM:
        raise ForeignStore(f"{path} belongs to {identity.program!r}: name another directory")
    if identity.format != FORMAT:
        raise ForeignStore(_other_format(path, identity.format))
    if identity.engine != ENGINE:
        raise ForeignStore(f"{path} is of engine {identity.engine!r}, not {ENGINE!r}")
    if not _IDENTITY.fullmatch(identity.identity):
        raise StoreDamaged(f"{path} holds the identity {identity.identity!r}, not 32 hex digits")
    if identity.state == "copying":
        raise StoreDamaged(
            f"{path.parent} is a copy that was never finished: delete it and copy again"
        )
    return identity


def _other_format(path: Path, found: int) -> str:
    if found > FORMAT:
        return (
            f"{path} is of format {found}, this version of Fastness knows up to {FORMAT}: use "
            "the version that wrote it, or export there and import here"
        )
    return (
        f"{path} is of format {found}, which this version of Fastness no longer reads: export "
        "with an older version and import here"
    )


def _refuse_strangers(directory: Path) -> None:
    """Raise unless a directory without an identity file holds nothing but our own lock file."""
    if not directory.exists():
        return
    ours = {OWNER_FILE, IDENTITY_FILE + ".new"}
    strangers = sorted(path.name for path in directory.iterdir() if path.name not in ours)
    if strangers:
        shown = ", ".join(strangers[:3])
        raise ForeignStore(
            f"{directory} holds {len(strangers)} entries ({shown}) but no {IDENTITY_FILE} file: "
            "it is not a Fastness database. Name an empty directory"
        )
