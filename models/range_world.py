"""The states of `range_commits.py`: transactions on their way, batches of ranges, versions."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from models.checker import History


class Kind(StrEnum):
    """What a transaction is."""

    COMMIT = "one-range commit"
    CROSS = "cross-range commit"
    SNAPSHOT = "snapshot"
    LATEST = "latest read"


class Transaction(NamedTuple):
    """What an actor does; a writer writes its own number."""

    name: str
    kind: Kind
    reads: str = ""
    writes: str = ""


class Phase(StrEnum):
    """How far a transaction has come."""

    NEW = "new"
    READING = "reading"
    SENT = "sent"
    VALIDATED = "validated"
    JOINED = "joined"
    DECIDED = "decided"
    ENDED = "ended"


class Progress(NamedTuple):
    """How far a transaction has come, and what it holds."""

    phase: Phase = Phase.NEW
    read_at: int = 0
    seen: tuple[tuple[str, int], ...] = ()
    floors: tuple[tuple[str, int], ...] = ()
    """Of a prepare: the ranges whose locks it holds, with the floor of each."""
    prepared: frozenset[str] = frozenset()
    """Of a prepare: where it is durable."""
    committed_at: int = 0


class Written(StrEnum):
    """How far the batch being written has come."""

    NONE = "none"
    FROZEN = "frozen"
    DRAWN = "drawn"


class Batches(NamedTuple):
    """The open batch of a range and the one being written, by the numbers of their members."""

    joined: tuple[int, ...] = ()
    writing: tuple[int, ...] = ()
    stage: Written = Written.NONE
    floor: int = 0
    first: int = 0
    """The first timestamp of the block, one for each one-range member."""
    spare: bool = False
    """Whether the block has a timestamp too many."""


class World(NamedTuple):
    """One state of everything."""

    progress: tuple[Progress, ...]
    batches: tuple[Batches, ...]
    clock: int = 0
    versions: frozenset[tuple[str, int, int]] = frozenset()
    """Key, commit timestamp and who wrote it, counted from 1."""
    history: History = History()


def value_at(world: World, key: str, at: int) -> int:
    """Who wrote the newest version of `key` at or below a timestamp, 0 for nobody."""
    found = [(committed, by) for of, committed, by in world.versions if of == key]
    return max((row for row in found if row[0] <= at), default=(0, 0))[1]


def replaced(world: World, index: int, progress: Progress) -> World:
    """The world with another progress of one transaction."""
    several = world.progress
    return world._replace(progress=(*several[:index], progress, *several[index + 1 :]))


def in_range(world: World, at: int, batches: Batches) -> World:
    """The world with other batches of one range."""
    several = world.batches
    return world._replace(batches=(*several[:at], batches, *several[at + 1 :]))


def told(reads: dict[str, int]) -> str:
    """Values read, for the reader of a run."""
    return " ".join(f"{key}={value}" for key, value in sorted(reads.items()))
