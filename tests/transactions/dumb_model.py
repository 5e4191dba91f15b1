"""A deliberately dumb database: every state it ever had, each a whole dictionary.

It decides what every read must answer, and whether a commit must, may or must not conflict.
Nothing in it is clever, so that a look is enough to believe it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fastness.encoding import counters


@dataclass(frozen=True)
class Entry:
    """A value, when it expires (0: never), and which commit wrote it."""

    value: bytes
    expires_at: int
    written_at: int

    def is_alive(self, at: int) -> bool:
        """Whether a reader at `at` sees it."""
        return not 0 < self.expires_at <= at


State = dict[bytes, Entry]
Change = Callable[[State, int], None]
"""Changes a state as a commit at a timestamp does."""

Interval = tuple[bytes, bytes]


@dataclass
class Touched:
    """Keys and intervals read, or written."""

    keys: set[bytes] = field(default_factory=set)
    intervals: list[Interval] = field(default_factory=list)

    def contains(self, key: bytes) -> bool:
        """Whether the key is among them."""
        return key in self.keys or any(begin <= key < end for begin, end in self.intervals)

    def overlaps(self, other: Touched) -> bool:
        """Whether anything is in both."""
        return (
            any(self.contains(key) for key in other.keys)
            or any(other.contains(key) for key in self.keys)
            or any(
                begin < other_end and other_begin < end
                for begin, end in self.intervals
                for other_begin, other_end in other.intervals
            )
        )


class DumbDatabase:
    """The whole history: a list of (timestamp, state), and what each commit touched."""

    def __init__(self) -> None:
        self.history: list[tuple[int, State]] = [(0, {})]
        self.touched: list[tuple[int, Touched]] = []
        self.declared: list[tuple[int, Touched]] = []

    def state_at(self, timestamp: int) -> State:
        """Everything stored at a moment, what has expired by then too."""
        return [state for at, state in self.history if at <= timestamp][-1]

    def alive_at(self, timestamp: int) -> State:
        """What a reader at a moment sees."""
        state = self.state_at(timestamp)
        return {key: entry for key, entry in state.items() if entry.is_alive(timestamp)}

    def newest(self) -> State:
        """What is stored now."""
        return self.history[-1][1]

    def must_conflict(self, read_at: int, read: Touched) -> bool:
        """Whether something validated was overwritten, or declared so, since it was read."""
        then, now = self.state_at(read_at), self.newest()
        overwritten = any(
            read.contains(key) and then.get(key) != now.get(key) for key in then.keys() | now.keys()
        )
        return overwritten or any(
            at > read_at and read.overlaps(declared) for at, declared in self.declared
        )

    def may_conflict(self, read_at: int, read: Touched) -> bool:
        """Whether anything read was touched at all since.

        A declared conflict that the range has forgotten stands for every key.
        """
        return any(at > read_at and read.overlaps(touched) for at, touched in self.touched) or any(
            at > read_at and (one.keys or one.intervals) for at, one in self.declared
        )

    def commit(self, at: int, changes: list[Change], touched: Touched, declared: Touched) -> None:
        """Add what the changes make of the newest state."""
        state = dict(self.newest())
        for change in changes:
            change(state, at)
        assert at > self.history[-1][0], "commit timestamps rise"
        self.history.append((at, state))
        self.touched.append((at, touched))
        self.declared.append((at, declared))


def writing(key: bytes, value: bytes, expires_at: int = 0) -> Change:
    """A set."""

    def change(state: State, at: int) -> None:
        state[key] = Entry(value, expires_at, at)

    return change


def erasing(begin: bytes, end: bytes) -> Change:
    """A delete_range; of one key with its successor, a delete."""

    def change(state: State, _at: int) -> None:
        for key in [key for key in state if begin <= key < end]:
            del state[key]

    return change


def operating(key: bytes, operation: Callable[[bytes | None], bytes | None]) -> Change:
    """An atomic operation: on what is alive, keeping its expiry unless it clears it."""

    def change(state: State, at: int) -> None:
        found = state.get(key)
        if found is not None and not found.is_alive(at):
            found = None
        value = operation(None if found is None else found.value)
        if value is None:
            state.pop(key, None)
        else:
            state[key] = Entry(value, 0 if found is None else found.expires_at, at)

    return change


def adding(amount: int) -> Callable[[bytes | None], bytes]:
    """An addition; absent counts as nothing."""
    return lambda found: counters.encode(amount + (counters.decode(found) if found else 0))


def lowering(amount: int) -> Callable[[bytes | None], bytes]:
    """The smaller of both."""
    return lambda found: counters.encode(min(amount, counters.decode(found)) if found else amount)


def raising(amount: int) -> Callable[[bytes | None], bytes]:
    """The larger of both."""
    return lambda found: counters.encode(max(amount, counters.decode(found)) if found else amount)


def appending(value: bytes) -> Callable[[bytes | None], bytes]:
    """An append; absent counts as empty."""
    return lambda found: (found or b"") + value


def clearing(expected: bytes) -> Callable[[bytes | None], bytes | None]:
    """A compare-and-clear."""
    return lambda found: None if found == expected else found
