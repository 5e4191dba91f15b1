"""Versions carried to and from PostgreSQL: arguments of the schema's functions, and their rows.

What a key was as of a timestamp, and where the log names it, is decided by `storage.moving`, as in
every other store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastness.errors import SnapshotTooOld
from fastness.hosting.remote import StorePortion, StoreSelection
from fastness.storage.cells import expiring, expiry_of, gone_from, plain, timestamp_of, value_of
from fastness.storage.contract import KeyVersions, Load, Version
from fastness.storage.moving import as_of, highest, mentions

KEYS_MAX = 500
"""Keys in one portion at most."""


def _call(function: str, count: int) -> str:
    return f"SELECT * FROM fastness.{function}({', '.join(f'${n}' for n in range(1, count + 1))})"  # noqa: S608 - numbers


VERSIONS = _call("versions", 8)
LOAD = _call("load", 18)
DROP = _call("drop_keys", 5)

_KINDS = {"fresh": 0, "replaced": 1, "deleted": 2}


def versions_arguments(request: StoreSelection) -> list[object]:
    """What `fastness.versions` is called with."""
    begin, end = request.interval
    return [
        request.range_id,
        begin,
        end,
        request.up_to,
        request.after,
        request.horizon,
        request.bytes_max,
        KEYS_MAX,
    ]


def portion(request: StoreSelection, rows: Sequence[Any]) -> StorePortion:
    """What the rows of `VERSIONS` tell; raises `SnapshotTooOld` where changes are pruned."""
    number, kept_from, rest = -1, 0, None
    found: dict[bytes, list[Version]] = {}
    for kind, whole, committed, expires, ended, value in rows:
        if kind == 0:
            number, kept_from = committed, expires
        elif kind == 2:
            rest = whole
        else:
            versions = found.setdefault(whole, [])
            if committed is not None:
                plainly = expires is None
                cell = plain(committed, value) if plainly else expiring(committed, expires, value)
                versions.append(Version(cell, ended))
    if 0 < request.after < kept_from:
        raise SnapshotTooOld(
            f"what changed after {request.after} is asked for, but changes up to {kept_from} are "
            "pruned: begin again"
        )
    keys: list[KeyVersions] = []
    for key in sorted(found):
        versions = sorted(found[key], key=lambda one: timestamp_of(one.cell))
        kept = as_of(versions, request.up_to, request.horizon)
        if kept or request.after:
            keys.append((key, kept))
    return StorePortion(keys, rest, number)


def load_arguments(load: Load) -> list[object]:
    """What `fastness.load` is called with."""
    versions = [(key, cell, ended) for key, kept in load.keys for cell, ended in kept]
    named = [
        (time, key, _KINDS[kind])
        for key, kept in load.keys
        for time, kind in mentions(kept, load.horizon)
    ]
    born = load.born
    records = {} if born is None else born.records
    return [
        load.range_id,
        load.epoch,
        load.number,
        highest(load.keys),
        [key for key, _kept in load.keys],
        [key for key, _cell, _ended in versions],
        [timestamp_of(cell) for _key, cell, _ended in versions],
        [expiry_of(cell) if gone_from(cell) else None for _key, cell, _ended in versions],
        [ended for _key, _cell, ended in versions],
        [value_of(cell) for _key, cell, _ended in versions],
        [time for time, _key, _kind in named],
        [key for _time, key, _kind in named],
        [kind for _time, _key, kind in named],
        born is not None,
        0 if born is None else born.applied,
        load.horizon,
        list(records),
        list(records.values()),
    ]
