"""The orders that lists force on transactions, and why, in words."""

from __future__ import annotations

from fastness.testing._cycles import Step
from fastness.testing._graph import READ_WRITE, WRITE_READ, WRITE_WRITE, Graph
from fastness.testing._lists import Elements, Lists, Versions
from fastness.testing.history import History, Key, Scalar
from fastness.testing.report import shown_value


def add_list_orders(graph: Graph[Key], lists: Lists) -> None:
    """Add the edges ww, wr and rw of every key; the reason of each is its key."""
    appended = _appended(lists)
    for key, versions in lists.versions.items():
        writers = _committed_writers(lists, key, versions.longest)
        _add_read_orders(graph, key, versions, writers)
        unseen = _unseen(lists, key, versions, appended.get(key, []))
        if unseen:
            whole = len(versions.longest)
            readers = [index for index, seen in versions.readers if len(seen) == whole]
            graph.add_all(readers, unseen, READ_WRITE, key)
        _add_write_orders(graph, key, writers, unseen)


def _appended(lists: Lists) -> dict[Key, list[int]]:
    """The committed transactions that append to each key."""
    appended: dict[Key, list[int]] = {}
    for index, view in lists.views.items():
        if lists.committed[index]:
            for key in view.appends:
                appended.setdefault(key, []).append(index)
    return appended


def _committed_writers(lists: Lists, key: Key, longest: Elements) -> list[int | None]:
    """Who appended each value; `None` where that is not known, failed, or stood there before."""
    of_key = lists.writers.get(key, {})
    writers = [of_key.get(value) for value in longest]
    if len(set(longest)) < len(longest):
        met: set[Scalar] = set()
        for place, value in enumerate(longest):
            if value in met:
                writers[place] = None
            met.add(value)
    committed = lists.committed
    return [one if one is not None and committed[one] else None for one in writers]


def _unseen(lists: Lists, key: Key, versions: Versions, writers: list[int]) -> list[int]:
    """Committed writers with an append that is missing from the longest list.

    It can only have come after everything that was read.
    """
    seen = set(versions.longest)
    return [index for index in writers if not seen.issuperset(lists.views[index].appends[key])]


def _add_write_orders(
    graph: Graph[Key], key: Key, writers: list[int | None], unseen: list[int]
) -> None:
    last: int | None = None
    for writer in writers:
        if writer is not None:
            if last is not None:
                graph.add(last, writer, WRITE_WRITE, key)
            last = writer
    if last is not None:
        for writer in unseen:
            graph.add(last, writer, WRITE_WRITE, key)


def _add_read_orders(
    graph: Graph[Key], key: Key, versions: Versions, writers: list[int | None]
) -> None:
    """Each reader comes after the writer of its last value, and before that of the next."""
    following = _following(writers)
    for index, seen in versions.readers:
        length = len(seen)
        last = writers[length - 1] if length else None
        if last is not None:
            graph.add(last, index, WRITE_READ, key)
        after = following[length]
        if after is not None and after != last:
            graph.add(index, after, READ_WRITE, key)


def _following(writers: list[int | None]) -> list[int | None]:
    """For each place, the first committed writer at it or behind it; one place beyond the end."""
    following: list[int | None] = [None]
    for writer in reversed(writers):
        following.append(writer if writer is not None else following[-1])
    return following[::-1]


def describe(history: History, lists: Lists, step: Step[Key]) -> str:
    """Why an edge of data must be, as a clause that names its key and values."""
    key = step.reason
    if key is None:
        return "its order is given"
    source, target = history[step.source].name, history[step.target].name
    longest = lists.versions[key].longest
    if step.kind == WRITE_READ:
        seen = lists.views[step.target].reads[key]
        return f"{target} read {key} -> {shown_value(seen)}, whose {seen[-1]} {source} appended"
    if step.kind == READ_WRITE:
        seen = lists.views[step.source].reads[key]
        missing = _missing(lists.views[step.target].appends[key], seen)
        return f"{source} read {key} -> {shown_value(seen)}, without the {missing} of {target}"
    earlier, later = _neighbours(
        lists.views[step.source].appends[key], lists.views[step.target].appends[key], longest
    )
    witness = history[lists.versions[key].longest_reader].name
    return (
        f"{target} appended {later} to {key} after the {earlier} of {source}: {witness} read {key} "
        f"-> {shown_value(longest)}{'' if later in longest else ', still without it'}"
    )


def _missing(values: list[Scalar], seen: Elements) -> Scalar:
    present = set(seen)
    return next(value for value in values if value not in present)


def _neighbours(
    before: list[Scalar], after: list[Scalar], longest: Elements
) -> tuple[Scalar, Scalar]:
    """The last value of one transaction that a value of the other follows, and that value.

    Where none of its values follows, one that is missing from the longest list.
    """
    found: Scalar = None
    for value in longest:
        if value in after and found is not None:
            return found, value
        if value in before:
            found = value
    return found, _missing(after, longest)
