"""Carrying the versions of a range to another store: reading them, loading them, dropping them.

A version bears no range, and a store keeps its rows in its own manner; what travels are versions
by key, as of a timestamp at or below which nothing can be committed any more. From them follow
all other rows: the log names a key at every timestamp where one of its versions begins or ends.
What ended at or below the horizon is left behind, for nobody may read it.

A key is loaded whole, and again whenever it has changed: loading replaces the newest version and
adds to the history and the log, where nothing at or below such a timestamp ever changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import SnapshotTooOld
from fastness.storage.cells import gone_from, timestamp_of
from fastness.storage.contract import KeyVersions, Portion, Selection, Version
from fastness.storage.layout import (
    LogEntry,
    Put,
    Table,
    expiry_row,
    history_interval,
    history_row,
    log_entry,
    log_row,
    log_value,
    log_without,
    split_history_row,
)
from fastness.storage.reading import View, log_entries, stream

KEY_BYTES = 64
"""What a key counts for in a portion beside its bytes."""


def portion_of(view: View, wanted: Selection, kept_from: Timestamp) -> Portion:
    """The first keys of a selection with their versions; `kept_from` is the range's horizon."""
    if wanted.after:
        if wanted.after < kept_from:
            raise SnapshotTooOld(
                f"what changed after {wanted.after} is asked for, but changes up to {kept_from} "
                "are pruned: begin again"
            )
        found = _changed(view, wanted)
    else:
        found = _all(view, wanted)
    keys: list[KeyVersions] = []
    size = 0
    for key, versions in found:
        kept = as_of(versions, wanted.up_to, wanted.horizon)
        # Of a changed key, also that nothing of it is left.
        if not kept and not wanted.after:
            continue
        if keys and size >= wanted.bytes_max:
            return Portion(keys, key)
        keys.append((key, kept))
        size += KEY_BYTES + len(key) + sum([len(one.cell) for one in kept])
    return Portion(keys, None)


def _all(view: View, wanted: Selection) -> Iterator[tuple[bytes, list[Version]]]:
    """Every key of the interval, in order."""
    newest = stream(view, Table.NEWEST, wanted.interval)
    history = stream(view, Table.HISTORY, history_interval(wanted.interval))
    live, old = next(newest, None), next(history, None)
    while live is not None or old is not None:
        heads = [live[0]] if live is not None else []
        if old is not None:
            heads.append(split_history_row(old[0])[0])
        key = min(heads)
        versions: list[Version] = []
        while old is not None and split_history_row(old[0])[0] == key:
            versions.append(Version(old[1], split_history_row(old[0])[1]))
            old = next(history, None)
        if live is not None and live[0] == key:
            versions.append(Version(live[1], 0))
            live = next(newest, None)
        yield key, versions


def _changed(view: View, wanted: Selection) -> Iterator[tuple[bytes, list[Version]]]:
    """The keys that changed in (after, up_to], in order."""
    begin, end = wanted.interval
    keys = {
        key
        for entry in log_entries(view, wanted.after, wanted.up_to)
        for key in entry.keys
        if begin <= key < end
    }
    for key in sorted(keys):
        yield key, versions_of(view, key)


def versions_of(view: View, key: bytes) -> list[Version]:
    """Every version of a key, the oldest first."""
    # First: a version may leave the newest table for the history meanwhile, and is seen twice.
    newest = view.get(Table.NEWEST, key)
    rows = history_interval(KeyInterval(key, key + b"\x00"))
    versions = [
        Version(cell, split_history_row(row)[1]) for row, cell in stream(view, Table.HISTORY, rows)
    ]
    if newest is not None:
        versions.append(Version(newest, 0))
    return versions


def as_of(versions: list[Version], up_to: Timestamp, horizon: Timestamp) -> list[Version]:
    """What was there at `up_to`, without what nobody at or above the horizon sees."""
    kept: list[Version] = []
    for cell, ended in versions:
        begin = timestamp_of(cell)
        if begin > up_to or 0 < ended <= horizon:
            continue
        if kept and timestamp_of(kept[-1].cell) == begin:
            continue
        if not 0 < ended <= up_to:
            if 0 < gone_from(cell) <= horizon:
                continue
            kept.append(Version(cell, 0))
        else:
            kept.append(Version(cell, ended))
    return kept


def rows_loaded(
    view: View, range_id: int, keys: list[KeyVersions], horizon: Timestamp
) -> list[Put]:
    """The rows that put these keys, with these versions, in the place of what there is of them."""
    puts: list[Put] = []
    expired: list[Put] = []
    entries: dict[bytes, LogEntry] = {}
    for key, versions in keys:
        before = view.get(Table.NEWEST, key)
        if before is not None and gone_from(before):
            expired.append((Table.EXPIRY, expiry_row(gone_from(before), key), None))
        newest: bytes | None = None
        for cell, ended in versions:
            if ended:
                puts.append((Table.HISTORY, history_row(key, ended), cell))
            else:
                newest = cell
        if newest is not None and gone_from(newest):
            expired.append((Table.EXPIRY, expiry_row(gone_from(newest), key), b""))
        puts.append((Table.NEWEST, key, newest))
        for timestamp, mention in mentions(versions, horizon):
            _mention(view, entries, log_row(timestamp, range_id), key, mention)
    logged: list[Put] = [
        (Table.LOG, row, log_value(one.fresh, one.replaced, one.deleted))
        for row, one in entries.items()
    ]
    return puts + expired + logged


def mentions(versions: list[Version], horizon: Timestamp) -> Iterator[tuple[Timestamp, str]]:
    """Where the log names a key, and as what."""
    begins = {timestamp_of(cell) for cell, _ended in versions}
    ends = {ended for _cell, ended in versions if ended}
    for begin in sorted(begins):
        if begin > horizon:
            yield begin, "replaced" if begin in ends else "fresh"
    for end in sorted(ends - begins):
        if end > horizon:
            yield end, "deleted"


def _mention(
    view: View, entries: dict[bytes, LogEntry], row: bytes, key: bytes, mention: str
) -> None:
    entry = entries.get(row)
    if entry is None:
        value = view.get(Table.LOG, row)
        entry = log_entry(row, log_value([], [], []) if value is None else value)
        entries[row] = entry
    named: list[bytes] = getattr(entry, mention)
    if key not in named:
        named.append(key)


def rows_dropped(view: View, interval: KeyInterval, horizon: Timestamp, limit: int) -> list[Put]:
    """The rows to remove, and the log's to rewrite, for the next keys of an interval to be gone.

    About `limit` rows; none once nothing is left. Up to `horizon` the range was pruned, or some
    of it.
    """
    puts: list[Put] = []
    entries: dict[bytes, LogEntry] = {}
    everything = Selection(interval, up_to=TIMESTAMP_MAX, after=0, horizon=0, bytes_max=0)
    gone: list[bytes] = []
    for key, versions in _all(view, everything):
        if len(puts) >= limit:
            break
        gone.append(key)
        for cell, ended in versions:
            if ended:
                puts.append((Table.HISTORY, history_row(key, ended), None))
            else:
                puts.append((Table.NEWEST, key, None))
                if gone_from(cell):
                    puts.append((Table.EXPIRY, expiry_row(gone_from(cell), key), None))
            for timestamp in filter(None, (timestamp_of(cell), ended)):
                _find_entries(view, entries, timestamp)
    if not gone:
        # Pruning takes an entry of the log in pieces, the versions first: what names keys that
        # have none any more is not above the horizon.
        rows = stream(view, Table.LOG, KeyInterval(log_row(0, 0), log_row(horizon + 1, 0)))
        pruned = ((row, log_entry(row, value)) for row, value in rows)
        return list(islice(_rewritten(pruned, interval), limit))
    inside = KeyInterval(gone[0], gone[-1] + b"\x00")
    return [*puts, *_rewritten(entries.items(), inside)]


def _rewritten(entries: Iterable[tuple[bytes, LogEntry]], interval: KeyInterval) -> Iterator[Put]:
    """The rows of those entries that name a key inside, without it."""
    for row, entry in entries:
        left = log_without(entry, interval)
        if sum(map(len, left)) < len(entry.keys):
            yield Table.LOG, row, log_value(*left) if any(left) else None


def _find_entries(view: View, entries: dict[bytes, LogEntry], timestamp: Timestamp) -> None:
    """The log's entries of a timestamp, of whatever range."""
    rows = KeyInterval(log_row(timestamp, 0), log_row(timestamp + 1, 0))
    for row, value in stream(view, Table.LOG, rows):
        if row not in entries:
            entries[row] = log_entry(row, value)


def highest(keys: list[KeyVersions]) -> Timestamp:
    """The highest timestamp at which a version of these begins or ends, 0 for none."""
    stamps = chain.from_iterable(
        (timestamp_of(cell), ended) for _key, versions in keys for cell, ended in versions
    )
    return max(stamps, default=0)
