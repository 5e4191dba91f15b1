"""Removing versions that no reader inside the retention window can see.

Pruning walks the log from its oldest entry up to the horizon. Each entry names the versions
its commit ended; those rows go, then the entry itself. The work is proportional to what is
removed, and every step is bounded: a long entry is taken in pieces, its place remembered in
memory. After a restart such an entry is walked again from its start; removing a row twice
is harmless.

Entries of other ranges in the same store are skipped, once: the walk of a range never comes
back below the place it reached, since all its own entries below are gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastness.encoding.timestamps import Timestamp
from fastness.storage.layout import LogEntry, Table, history_row, log_row
from fastness.storage.reading import View, log_entries


@dataclass(slots=True)
class PrunePlace:
    """How far the walk of one range has come. Lost at a restart, which only costs time."""

    after: Timestamp = 0
    """Every entry of the range at or below it is gone."""
    entry: LogEntry | None = None
    """The entry that is partly done."""
    done: int = 0
    """How many of the versions it ended are pruned."""


@dataclass(slots=True)
class PruneStep:
    """The rows one step removes, and the place it ends at."""

    rows: list[tuple[Table, bytes]]
    place: PrunePlace


def prune_step(
    view: View, range_id: int, horizon: Timestamp, limit: int, place: PrunePlace
) -> PruneStep:
    """The next rows to remove, at most `limit` but at least one if any is left."""
    rows: list[tuple[Table, bytes]] = []
    after, entry, done = place.after, place.entry, place.done
    entries = log_entries(view, entry.timestamp if entry else after, horizon)
    while len(rows) < limit:
        if entry is None:
            entry, done = next(entries, None), 0
            if entry is None:
                after = max(after, horizon)
                break
            if entry.range_id != range_id:
                after, entry = entry.timestamp, None
                continue
        ended = entry.ended
        taken = ended[done : done + limit - len(rows)]
        rows.extend((Table.HISTORY, history_row(key, entry.timestamp)) for key in taken)
        done += len(taken)
        if done < len(ended) or len(rows) >= limit:
            break
        rows.append((Table.LOG, log_row(entry.timestamp, range_id)))
        after, entry = entry.timestamp, None
    return PruneStep(rows, PrunePlace(after, entry, done))
