"""What a client process of the demo is told, and what it tells.

The task is one line of JSON on its standard input, which then stays open as long as it is wanted.
It answers on its standard output in the frames of `promises`: entries it was acknowledged, how
many operations it has done, and at the end a summary.
"""

from __future__ import annotations

import msgspec

from examples.files.schema import EntryId, SpaceId

PROGRESS, SUMMARY = b"+", b"="
"""Kinds of frames besides those of `promises`."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What one process does."""

    url: str
    number: int
    seed: int
    threads: int
    """That contend, besides the one that keeps a ledger."""
    operations: int
    """Of all these threads together."""
    space: SpaceId
    """Where it writes."""
    folder: EntryId
    folders: list[EntryId]
    """Where all processes meet."""
    users: list[str]
    tree: SpaceId
    """Where it only reads, by these paths and listings."""
    paths: list[str]
    listed: list[EntryId]
    notes: EntryId
    """A folder of its own."""
    ledgers: list[EntryId]
    """A file of each process; it writes the one of its number, and reads all."""


class Summary(msgspec.Struct, kw_only=True):
    """What one process did and saw."""

    latencies_s: dict[str, list[float]] = {}
    refused: int = 0
    retries: int = 0
    hits: int = 0
    misses: int = 0
    invalidations: int = 0
    leases_lost: int = 0
    audited: int = 0
    """Entries of its cache that were compared with the truth."""
    stale: int = 0
    looks: int = 0
    """Times it read all ledgers, in one transaction."""
    problems: list[str] = []
