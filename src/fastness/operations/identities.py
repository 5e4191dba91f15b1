"""A new identity for a copied directory, so that it is never taken for the original.

Whatever remembers a database by its identity (a feed's cursor, a cache, a range map, another
backup) must find out that a restored copy is a different one: the two go on separately, and
after the copy's next commit the same timestamp may mean different contents in each.
"""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from fastness.encoding.timestamps import Timestamp
from fastness.errors import StoreDamaged
from fastness.limits import Limits
from fastness.storage import Store
from fastness.storage.layout import IDENTITY_ROW, Table, mark_row
from fastness.storage.rocksdb.directory import finish
from fastness.storage.rocksdb.engine import Tables
from fastness.storage.rocksdb.identity import TABLES
from fastness.storage.rocksdb.options import table_options
from fastness.storage.rocksdb.translation import translated

ORIGIN_MARK = "restored.origin"


class Origin(Struct, frozen=True):
    """Where a restored database came from."""

    identity: str
    """Of the database that was backed up."""
    timestamp: Timestamp
    """Every commit of that database at or below it is in the copy."""


def renew_identity(directory: Path, origin: Origin, limits: Limits) -> str:
    """Give a store's directory, which nobody has open, a new identity; returns that.

    Not atomic: for directories that are still being made.
    """
    identity = secrets.token_hex(16)
    try:
        with closing(Tables(directory / TABLES, table_options(limits))) as tables:
            tables.write_rows(
                [
                    (Table.STATE, IDENTITY_ROW, identity.encode()),
                    (Table.STATE, mark_row(ORIGIN_MARK), msgspec.json.encode(origin)),
                ]
            )
            tables.flush()
            reached = tables.root.latest_sequence_number()
        finish(directory, identity, reached)
    except Exception as error:
        raise translated(error, f"renewing the identity of {directory}") from error
    return identity


def origin_of(store: Store) -> Origin | None:
    """Where a restored database came from; `None` for one that was created empty."""
    mark = store.state(ORIGIN_MARK)
    if mark is None:
        return None
    try:
        return msgspec.json.decode(mark, type=Origin)
    except msgspec.MsgspecError as cause:
        raise StoreDamaged(f"the mark of the origin is damaged: {mark[:80]!r}") from cause
