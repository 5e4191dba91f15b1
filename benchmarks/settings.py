"""How much work a run does: the full sizes, or the quick ones for a first look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes of one run. `directory` is where the databases are written; it exists."""

    directory: Path
    rounds: int = 15
    """Rounds of each contender, played in turn."""
    entries: int = 200_000
    """Entries in the databases that are read and scanned."""
    reads: int = 10_000
    """Point reads in a round, all in one transaction."""
    commits: int = 500
    """Durable commits in a round of one writer."""
    writers: int = 64
    """Threads, or tasks, that commit together."""
    commits_together: int = 6_400
    """Durable commits in a round of all writers."""
    listed: int = 1_000
    """Entries in the folder that is listed."""
    entities: int = 1_000_000
    """Entities in the database whose memory and opening time are measured."""
    openings: int = 7
    """How often it is opened after a clean close, and how often after a kill."""
    tree: Path = Path("/usr")
    """The directory tree whose entries are loaded."""
    tree_entries: int = 100_000
    """No further folder of it is entered once so many entries were found."""
    loads: int = 3
    """Rounds of loading it."""
    files: int = 50_000
    """Entries that the files service holds besides those it is asked for."""
    operations: int = 200
    """Its durable operations in a round."""
    lookups: int = 2_000
    """Its lookups in a round."""
    listings: int = 20
    """Its listings in a round."""
    served_entries: int = 20_000
    """Entries in each server that is compared over a socket."""
    spell_s: float = 0.5
    """How long a round of a server lasts."""
    concurrent: int = 64
    """Tasks that ask a server together."""
    idle_connections: int = 1_000
    """Connections that a server holds while nothing happens on them."""
    watches: int = 10_000
    """Watches that it holds on them."""
    scanned: int = 1_000_000
    """Entries that are scanned while others read."""
    scan_spells: int = 5
    """Rounds of reading without and with the scan."""
    busy_spell_s: float = 3.0
    """How long each of those lasts: long enough for some pages of the scan."""
    ranges: tuple[int, ...] = (1, 8, 64)
    """Ranges of a cluster's node whose statements are counted; the first is what the others are
    compared with."""
    counted_commits: int = 6_400
    """Commits whose statements are counted."""
    ranges_at_start: int = 1_000
    """Ranges that a node holds when it is started again."""
    starts: int = 3
    """How often."""
    cost_spell_s: float = 2.0
    """How long a round lasts whose processor time is told process by process."""
    cost_rounds: int = 5
    """Such rounds of each operation."""


def quick(directory: Path) -> Settings:
    """A run of about a minute: noisier, and with a tenth of the data."""
    return Settings(
        directory=directory,
        rounds=5,
        entries=20_000,
        reads=5_000,
        commits=200,
        commits_together=1_920,
        entities=100_000,
        openings=3,
        tree_entries=10_000,
        loads=2,
        files=5_000,
        operations=100,
        lookups=1_000,
        listings=10,
        served_entries=5_000,
        spell_s=0.3,
        scanned=200_000,
        scan_spells=3,
        busy_spell_s=1.0,
        counted_commits=3_200,
        starts=2,
        cost_spell_s=1.5,
        cost_rounds=3,
    )


def tiny(directory: Path) -> Settings:
    """A run of seconds that measures nothing: it shows that the harness works."""
    return Settings(
        directory=directory,
        rounds=2,
        entries=300,
        reads=50,
        commits=4,
        writers=4,
        commits_together=8,
        listed=20,
        entities=500,
        openings=1,
        tree_entries=100,
        loads=1,
        files=20,
        operations=4,
        lookups=10,
        listings=2,
        served_entries=200,
        spell_s=0.05,
        concurrent=4,
        idle_connections=10,
        watches=50,
        scanned=2_000,
        scan_spells=1,
        busy_spell_s=0.1,
        ranges=(1, 3),
        counted_commits=20,
        ranges_at_start=5,
        starts=1,
        cost_spell_s=0.1,
        cost_rounds=1,
    )


def full(directory: Path) -> Settings:
    """A run of some minutes, whose ratios can be quoted."""
    return Settings(directory=directory)


EFFORTS: dict[str, Callable[[Path], Settings]] = {"full": full, "quick": quick, "tiny": tiny}
