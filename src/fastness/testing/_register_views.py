"""Read/write register transactions taken apart: what each saw of others, and what it left."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastness.testing.history import (
    History,
    InvalidHistory,
    Key,
    Outcome,
    Read,
    Scalar,
    Transaction,
    Write,
)


@dataclass(slots=True)
class View:
    """One transaction: `reads` before its own writes, `writes` all it wrote, in order."""

    reads: dict[Key, Scalar] = field(default_factory=dict)
    writes: dict[Key, list[Scalar]] = field(default_factory=dict)
    broken: dict[Key, tuple[Scalar, Scalar]] = field(default_factory=dict)
    """Keys it found other than its own operations left them: expected and found."""


@dataclass(slots=True)
class Registers:
    """A history of register transactions."""

    views: list[View]
    """Of every transaction, failed ones included."""
    writers: dict[Key, dict[Scalar, int]]
    """Who wrote a value to a key."""
    committed: list[bool]
    """Acknowledged, or of unknown outcome and seen by a committed transaction."""
    readers: dict[Key, dict[Scalar, list[int]]]
    """The committed transactions that found a value in a key."""

    def committed_writer(self, key: Key, value: Scalar) -> int | None:
        """Who wrote a value, if that is known and it committed."""
        writer = self.writers.get(key, {}).get(value)
        return writer if writer is not None and self.committed[writer] else None

    def left(self, index: int, key: Key) -> Scalar:
        """What a transaction that wrote a key left in it."""
        return self.views[index].writes[key][-1]


def take_apart(history: History) -> Registers:
    """Raises `InvalidHistory` on other operations, or where a key is given one value twice."""
    views = [_view(one) for one in history]
    writers = _writers(history, views)
    committed = _committed(history, views, writers)
    return Registers(views, writers, committed, _readers(views, committed))


def _view(transaction: Transaction) -> View:
    view = View()
    for operation in transaction.operations:
        if isinstance(operation, Write):
            if operation.value is None:
                raise InvalidHistory(
                    f"{transaction.name} wrote None to {operation.key!r}, which a reader could not "
                    "tell from a key never written; write a unique value in its place"
                )
            view.writes.setdefault(operation.key, []).append(operation.value)
        elif isinstance(operation, Read) and not isinstance(operation.value, tuple):
            _note_read(view, operation.key, operation.value)
        else:
            raise InvalidHistory(
                f"{transaction.name} holds {operation!r}, which is no read or write of a "
                "register; judge lists with check_list_append, compare-and-set with "
                "check_registers"
            )
    return view


def _note_read(view: View, key: Key, found: Scalar) -> None:
    if key in view.writes:
        expected = view.writes[key][-1]
    elif key in view.reads:
        expected = view.reads[key]
    else:
        view.reads[key] = found
        return
    if found != expected:
        view.broken.setdefault(key, (expected, found))


def _writers(history: History, views: list[View]) -> dict[Key, dict[Scalar, int]]:
    writers: dict[Key, dict[Scalar, int]] = {}
    for index, view in enumerate(views):
        for key, values in view.writes.items():
            of_key = writers.setdefault(key, {})
            for value in values:
                if value in of_key:
                    raise InvalidHistory(
                        f"{history[of_key[value]].name} and {history[index].name} both wrote "
                        f"{value!r} to {key!r}; write each value to a key only once, so that a "
                        "reader shows whose write it saw"
                    )
                of_key[value] = index
    return writers


def _committed(
    history: History, views: list[View], writers: dict[Key, dict[Scalar, int]]
) -> list[bool]:
    """Unknown outcomes that a committed reader saw were commits, and make what they saw commits."""
    committed = [one.outcome is Outcome.OK for one in history]
    waiting = [one.index for one in history if committed[one.index]]
    while waiting:
        for key, value in views[waiting.pop()].reads.items():
            writer = writers.get(key, {}).get(value)
            if writer is None or committed[writer]:
                continue
            if history[writer].outcome is Outcome.UNKNOWN:
                committed[writer] = True
                waiting.append(writer)
    return committed


def _readers(views: list[View], committed: list[bool]) -> dict[Key, dict[Scalar, list[int]]]:
    readers: dict[Key, dict[Scalar, list[int]]] = {}
    for index, view in enumerate(views):
        if committed[index]:
            for key, value in view.reads.items():
                readers.setdefault(key, {}).setdefault(value, []).append(index)
    return readers
