"""What an operation reads and writes, recorded from a real run of it.

A trace is the least a program without Fastness would have to ask of the store for the same
operation: each key it depends on, read once; each interval, scanned once; each key it changes,
written once, all in one batch with one sync. Counted are

* the keys and intervals the transaction's commit validates,
* the counters it adds to: without atomic additions they are read before they are written,
* the keys whose newest value it changes: records, index entries, totals, the journal's line.

Left out is what only Fastness needs: the schema's version it looks at, the versions it keeps of
what was overwritten, its own log and state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec

import fastness
from fastness.encoding.intervals import KeyInterval
from fastness.invariants import check, present
from fastness.model import REGISTRY

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Trace:
    """The raw operations that one operation needs."""

    gets: list[bytes]
    scans: list[KeyInterval]
    writes: list[tuple[bytes, bytes | None]]
    """`None` deletes."""

    def __str__(self) -> str:
        counts = [(len(self.gets), "get"), (len(self.scans), "scan"), (len(self.writes), "write")]
        told = [f"{count} {what}{'s' * (count > 1)}" for count, what in counts if count]
        return ", ".join([*told, "1 sync"] if self.writes else told)


def recorded(
    db: fastness.Database,
    counters: frozenset[bytes],
    function: Callable[Concatenate[fastness.Transaction, P], object],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Trace:
    """Run an operation, durably, and answer what it read and wrote.

    `counters` are the keys that are added to. Nobody else may write meanwhile.
    """
    with db.transaction() as tx:
        begun = tx.read_timestamp
        function(tx, *args, **kwargs)
        keys, intervals = tx.reads
        gets = [key for key in sorted(keys) if not key.startswith(REGISTRY)]
        scans = list(intervals)
    ended = present(tx.commit_timestamp, "a transaction that ended has a commit timestamp")
    changes = db.embedded.store.changes(begun, ended, 2)
    check(len(changes) <= 1, "the operation that is recorded was the only one")
    writes = [write for change in changes for write in change.writes]
    added = [key for key, _value in writes if key in counters]
    return Trace([*gets, *(key for key in added if key not in gets)], scans, writes)
