"""Compares what is stored with a fresh walk over the real tree, entry by entry.

A live tree changes while it is looked at. What differs is looked at once more: if the file
system says that it, or the folder it is missing from, changed since loading began, the
difference is a change of the tree. Anything else is a loss.
"""

# Paths are bytes here, which pathlib has not.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from examples.files.demo.names import name_of, text_of
from examples.files.demo.walking import Found, Walk
from examples.files.schema import Entry, EntryId, SpaceId
from fastness import Database, Transaction

CLOCK_SLACK_NS = 1_000_000_000
"""File systems stamp changes with a coarser clock than the one loading began by."""

SHOWN_MAX = 20


@dataclass(slots=True)
class Verdict:
    """What a comparison found."""

    entries: int = 0
    """Compared and equal."""
    changed: int = 0
    """Different because the tree has changed."""
    lost: int = 0
    """Different without such a reason."""
    losses: list[str] = field(default_factory=list)
    """The first few of them."""


class Verification:
    """One comparison of a space with the tree that was loaded into it."""

    def __init__(self, db: Database, space: SpaceId, walk: Walk, *, began_ns: int) -> None:
        """`walk` is the one that was loaded, begun at `began_ns` (nanoseconds since 1970)."""
        self._db = db
        self._space = space
        self._loaded = walk
        self._again = Walk(walk.root, walk.entries_max)
        self._since_ns = began_ns - CLOCK_SLACK_NS
        self.verdict = Verdict()

    def run(self, advance: Callable[[int], object]) -> Verdict:
        """Compare every folder that was loaded, at one snapshot of the database."""
        with self._db.transaction(read_only=True) as tx:
            for path, folder in self._loaded.entered.items():
                advance(self._compare_folder(tx, path, folder))
        return self.verdict

    def _compare_folder(self, tx: Transaction, path: bytes, folder: EntryId) -> int:
        stored = {entry.name: entry for entry in tx.query_all(Entry.by_name, self._space, folder)}
        fresh = {text_of(found.name): found for found in self._again.read(path)}
        for name in stored.keys() | fresh.keys():
            entry, found = stored.get(name), fresh.get(name)
            if entry is not None and found is not None and is_same(entry, found):
                self.verdict.entries += 1
            else:
                self._judge(os.path.join(path, name_of(name)), entry, found)
        return len(stored)

    def _judge(self, path: bytes, entry: Entry | None, found: Found | None) -> None:
        if self._has_changed(path) or (
            (entry is None or found is None) and self._has_changed(os.path.dirname(path))
        ):
            self.verdict.changed += 1
            return
        self.verdict.lost += 1
        if len(self.verdict.losses) < SHOWN_MAX:
            self.verdict.losses.append(f"{text_of(path)}: stored {entry!r}, on disk {found!r}")

    def _has_changed(self, path: bytes) -> bool:
        """Whether the file system says that this changed; of what is gone, its folder."""
        while True:
            try:
                return os.lstat(path).st_ctime_ns >= self._since_ns
            except FileNotFoundError:
                path = os.path.dirname(path)
            except OSError:
                return False


def is_same(entry: Entry, found: Found) -> bool:
    """Whether a stored entry says what the file system says."""
    return (
        entry.kind is found.kind
        and entry.size == found.size
        and entry.content == found.content
        and entry.target == found.target
        and entry.modified == found.modified
    )
