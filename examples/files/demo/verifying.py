"""Compares what is stored with a fresh walk over the real tree, entry by entry.

A live tree changes while it is looked at, and some (such as /proc) do not tell when. So the
walk that was loaded remembers what it saw of each entry, in a few bytes:

- stored as it was seen then, but different on disk now: the tree has changed;
- stored otherwise than seen, or seen and not stored: lost;
- on disk and never seen: new, if the file system says that it or its folder changed since
  loading began; else the walk has missed it, and it counts as lost.
"""

# Paths are bytes here, which pathlib has not.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from examples.files.demo.names import name_of, text_of
from examples.files.demo.walking import Found, Walk, digest_of
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
        self._unmet = dict(walk.seen)
        self._since_ns = began_ns - CLOCK_SLACK_NS
        self.verdict = Verdict()

    def run(self, advance: Callable[[int], object]) -> Verdict:
        """Compare every folder that was loaded, at one snapshot of the database."""
        with self._db.transaction(read_only=True) as tx:
            for path, folder in self._loaded.entered.items():
                advance(self._compare_folder(tx, path, folder))
        for folder, name in self._unmet:
            self._tell_loss(f"{name!r} in folder {folder}", None, None)
        return self.verdict

    def _compare_folder(self, tx: Transaction, path: bytes, folder: EntryId) -> int:
        stored = {entry.name: entry for entry in tx.query_all(Entry.by_name, self._space, folder)}
        fresh = {text_of(found.name): found for found in self._again.read(path)}
        for name in stored.keys() | fresh.keys():
            entry, found = stored.get(name), fresh.get(name)
            seen = self._unmet.pop((folder, name), None)
            if not self._is_as_seen(path, name, entry, seen):
                self._tell_loss(text_of(os.path.join(path, name_of(name))), entry, found)
            elif entry is None or found is None or digest_of(entry) != digest_of(found):
                self.verdict.changed += 1
            else:
                self.verdict.entries += 1
        return len(stored)

    def _is_as_seen(self, path: bytes, name: str, entry: Entry | None, seen: int | None) -> bool:
        """Whether exactly what the loaded walk saw is stored."""
        if entry is not None:
            return digest_of(entry) == seen
        return seen is None and (
            self._has_changed(os.path.join(path, name_of(name))) or self._has_changed(path)
        )

    def _tell_loss(self, what: str, entry: Entry | None, found: Found | None) -> None:
        self.verdict.lost += 1
        if len(self.verdict.losses) < SHOWN_MAX:
            self.verdict.losses.append(f"{what}: stored {entry!r}, on disk {found!r}")

    def _has_changed(self, path: bytes) -> bool:
        """Whether the file system says that this changed since loading began, or is gone."""
        try:
            return os.lstat(path).st_ctime_ns >= self._since_ns
        except OSError:
            return True
