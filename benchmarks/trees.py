"""Loading a real directory tree into the files service, durably and with all its indexes.

It is loaded twice over: with the tree walked beforehand, which is the service alone, and
walking it while loading, as `make demo` does. Each round loads into a database of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter_ns

import fastness
from benchmarks.contests import Contestant, contest
from benchmarks.rows import Row, at_least, floor_row
from benchmarks.samples import Round
from benchmarks.settings import Settings
from examples.files import service
from examples.files.demo.loading import load
from examples.files.demo.walking import Walk
from examples.files.schema import ROOT, SCHEMA, EntryId
from examples.files.service import Draft
from fastness.invariants import check

ENTRIES_PER_SECOND = 10_000.0
OWNER = "ann"
QUOTA_BYTES = 10**15


@dataclass(slots=True)
class Rewalk(Walk):
    """A walk that was made before: it hands out what it found then."""

    found: list[list[Draft]] = field(default_factory=list)

    def folders(self, root_id: EntryId) -> Iterator[list[Draft]]:
        """As the walk did; `root_id` must be the one it was made with."""
        check(root_id == ROOT, "the tree was walked for the root folder")
        for drafts in self.found:
            self.entries += len(drafts)
            yield drafts


def trees(settings: Settings) -> list[Row]:
    """Entries per second, the walk excluded and included."""
    place = settings.directory / "trees"
    place.mkdir()
    root = os.fsencode(settings.tree)
    found = list(Walk(root, settings.tree_entries).folders(ROOT))
    numbers = count()

    def load_round(walk: Callable[[], Walk]) -> Round:
        return _load_round(place / str(next(numbers)), walk())

    walks: dict[str, Callable[[], Walk]] = {
        "walked before": partial(Rewalk, root, settings.tree_entries, found=found),
        "walk included": partial(Walk, root, settings.tree_entries),
    }
    series = contest(
        [Contestant(name, partial(load_round, walk)) for name, walk in walks.items()],
        rounds=settings.loads,
    )
    entries = sum(map(len, found))
    return [
        floor_row(
            f"loading a tree of {entries:,}, {name}",
            series[name],
            target=at_least(ENTRIES_PER_SECOND),
        )
        for name in walks
    ]


def _load_round(directory: Path, walk: Walk) -> Round:
    """Load into a fresh database, which is removed again."""
    with fastness.open(f"file:{directory}", schema=SCHEMA) as db:
        service.create_user(db, OWNER)
        space = service.create_space(db, OWNER, "home", quota=QUOTA_BYTES).id
        start = perf_counter_ns()
        load(db, space, ROOT, walk, advance=_ignore)
        elapsed_ns = perf_counter_ns() - start
        stored = service.usage(db, space).entries
    check(stored == walk.entries + 1, "every entry is stored, and the root folder")
    shutil.rmtree(directory)
    return Round(walk.entries, elapsed_ns, [])


def _ignore(_entries: int) -> None:
    """The progress bar of a demo would be here."""
