"""The versions of append-only lists, as their readers saw them.

A list only grows, so the longest list read of a key is the history of that key, and every
other read must be a beginning of it. That is what makes list-append histories so telling: the
order of all writes that anyone saw is known, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastness.testing.history import (
    Append,
    History,
    InvalidHistory,
    Key,
    Outcome,
    Read,
    Scalar,
    Transaction,
    Value,
)

Elements = tuple[Scalar, ...]


@dataclass(slots=True)
class View:
    """What one transaction saw of others, and what it added.

    `reads` holds the list each key had before the transaction's own appends; `broken` the keys
    it read in two ways that its own appends do not explain, with the list expected and found.
    """

    reads: dict[Key, Elements] = field(default_factory=dict)
    appends: dict[Key, list[Scalar]] = field(default_factory=dict)
    broken: dict[Key, tuple[Elements, Elements]] = field(default_factory=dict)


@dataclass(slots=True)
class Versions:
    """All that was read of one key: the longest list, and who read how much of it."""

    longest: Elements = ()
    longest_reader: int = -1
    readers: list[tuple[int, Elements]] = field(default_factory=list)
    """Every committed reader that saw a beginning of the longest list, with what it saw."""
    strays: list[tuple[int, Elements]] = field(default_factory=list)
    """The committed readers that saw something else."""


@dataclass(slots=True)
class Lists:
    """A list-append history, taken apart."""

    views: dict[int, View]
    """Of every transaction, failed ones included."""
    writers: dict[Key, dict[Scalar, int]]
    """Who appended a value to a key."""
    committed: list[bool]
    """Acknowledged, or of unknown outcome and seen by a committed transaction."""
    versions: dict[Key, Versions]


def take_apart(history: History) -> Lists:
    """Raises `InvalidHistory` on other operations, or where two appends share key and value."""
    views = {one.index: _view(one) for one in history}
    writers = _writers(history, views)
    committed = _committed(history, views, writers)
    return Lists(views, writers, committed, _versions(views, committed))


def _view(transaction: Transaction) -> View:
    view = View()
    for operation in transaction.operations:
        if isinstance(operation, Append):
            view.appends.setdefault(operation.key, []).append(operation.value)
        elif isinstance(operation, Read):
            _note_read(view, operation.key, _elements(transaction, operation.value))
        else:
            raise InvalidHistory(
                f"{transaction.name} holds {operation!r}, which is no list operation; record "
                "reads and appends only, or use check_registers or check_read_write_registers"
            )
    return view


def _elements(transaction: Transaction, value: Value) -> Elements:
    if value is None:
        return ()
    if isinstance(value, tuple):
        return value
    raise InvalidHistory(
        f"{transaction.name} read {value!r}, which is no list; record the list a key holds as a "
        "tuple, and an absent one as None"
    )


def _note_read(view: View, key: Key, found: Elements) -> None:
    """Take the own appends off the first read of a key; check any further one against it."""
    own = tuple(view.appends.get(key, ()))
    if key in view.broken:
        return
    if key in view.reads:
        expected = view.reads[key] + own
        if found != expected:
            view.broken[key] = (expected, found)
        return
    seen = found[: max(0, len(found) - len(own))]
    if own and found[len(seen) :] != own:
        view.broken[key] = ((*seen, *own), found)
    else:
        view.reads[key] = seen


def _writers(history: History, views: dict[int, View]) -> dict[Key, dict[Scalar, int]]:
    writers: dict[Key, dict[Scalar, int]] = {}
    for index, view in views.items():
        for key, values in view.appends.items():
            of_key = writers.setdefault(key, {})
            for value in values:
                if value in of_key:
                    raise InvalidHistory(
                        f"{history[of_key[value]].name} and {history[index].name} both appended "
                        f"{value!r} to {key!r}; append each value to a key only once, so that "
                        "a reader shows whose append it saw"
                    )
                of_key[value] = index
    return writers


def _committed(
    history: History, views: dict[int, View], writers: dict[Key, dict[Scalar, int]]
) -> list[bool]:
    """Unknown outcomes that a committed reader saw were commits, and make what they saw commits."""
    committed = [one.outcome is Outcome.OK for one in history]
    doubtful = _doubtful(history, writers)
    waiting = [one.index for one in history if committed[one.index]] if doubtful else []
    while waiting:
        for key, elements in views[waiting.pop()].reads.items():
            of_key = doubtful.get(key)
            if not of_key or of_key.keys().isdisjoint(elements):
                continue
            for value in of_key.keys() & set(elements):
                writer = of_key.pop(value)
                if not committed[writer]:
                    committed[writer] = True
                    waiting.append(writer)
    return committed


def _doubtful(
    history: History, writers: dict[Key, dict[Scalar, int]]
) -> dict[Key, dict[Scalar, int]]:
    """The appends of transactions with unknown outcome."""
    doubtful: dict[Key, dict[Scalar, int]] = {}
    for key, of_key in writers.items():
        for value, index in of_key.items():
            if history[index].outcome is Outcome.UNKNOWN:
                doubtful.setdefault(key, {})[value] = index
    return doubtful


def _versions(views: dict[int, View], committed: list[bool]) -> dict[Key, Versions]:
    versions: dict[Key, Versions] = {}
    for index, view in views.items():
        if not committed[index]:
            continue
        for key, elements in view.reads.items():
            of_key = versions.setdefault(key, Versions())
            of_key.readers.append((index, elements))
            if len(elements) > len(of_key.longest) or of_key.longest_reader < 0:
                of_key.longest, of_key.longest_reader = elements, index
    for of_key in versions.values():
        _set_strays_apart(of_key)
    return versions


def _set_strays_apart(versions: Versions) -> None:
    longest = versions.longest
    fitting = [reader for reader in versions.readers if longest[: len(reader[1])] == reader[1]]
    if len(fitting) < len(versions.readers):
        known = {index for index, _ in fitting}
        versions.strays = [reader for reader in versions.readers if reader[0] not in known]
        versions.readers = fitting
