"""What is wrong with lists by themselves, before any order of transactions is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastness.testing._explanations import LOST_UPDATE, TITLES
from fastness.testing._lists import Elements, Lists, Versions
from fastness.testing.history import History, Key, Outcome, Scalar
from fastness.testing.report import Anomaly, Report, shown_transactions, shown_value

_TITLES = {
    "internal": "a transaction contradicts itself",
    "incompatible-order": "two readers saw one list in different orders",
    "duplicate-element": "an append took effect twice",
    "garbage-read": "a value that nobody appended",
    "G1a": "aborted read: what a failed transaction wrote was seen",
    "G1b": "intermediate read: a transaction was seen half done",
    LOST_UPDATE: TITLES[LOST_UPDATE],
}


def report_contents(report: Report, history: History, lists: Lists) -> None:
    """Add every anomaly that shows in the reads of one key, or of one transaction."""
    contents = _Contents(report, history, lists)
    for index, committed in enumerate(lists.committed):
        if committed:
            contents.check_transaction(index)
    for key, versions in lists.versions.items():
        contents.check_versions(key, versions)
        contents.check_intermediate(key, versions)
        contents.check_updates(key, versions)


class _Contents:
    """The report being written and what it is about."""

    def __init__(self, report: Report, history: History, lists: Lists) -> None:
        self._report = report
        self._history = history
        self._lists = lists

    def check_transaction(self, index: int) -> None:
        """Its reads agree with each other and with its own appends."""
        view = self._lists.views[index]
        for key, (expected, found) in view.broken.items():
            what = (
                f"T{index} read {key} -> {shown_value(found)}, where its own reads and appends "
                f"leave {shown_value(expected)}"
            )
            self._add("internal", [index], key, what)
        for key, values in view.appends.items():
            early = set(values).intersection(view.reads.get(key, ()))
            if early:
                what = f"T{index} read {_first(early, values)} in {key} before it appended it"
                self._add("internal", [index], key, what)

    def check_versions(self, key: Key, versions: Versions) -> None:
        """The reads of a key agree, and hold what committed transactions appended, once."""
        longest = (versions.longest_reader, versions.longest)
        for index, seen in [longest, *versions.strays]:
            self._check_elements(key, index, seen)
        for index, seen in versions.strays:
            place = next(i for i, value in enumerate(seen) if value != versions.longest[i])
            what = (
                f"T{index} read {key} -> {shown_value(seen)}, T{longest[0]} read {key} -> "
                f"{shown_value(longest[1])}: they part at place {place + 1}, and an append only "
                "adds at the end"
            )
            self._add("incompatible-order", [index, longest[0]], key, what)

    def _check_elements(self, key: Key, index: int, seen: Elements) -> None:
        writers = self._lists.writers.get(key, {})
        for value in _repeated(seen):
            what = f"T{index} read {key} -> {shown_value(seen)}, which holds {value} twice"
            self._add("duplicate-element", [index, *_known(writers.get(value))], key, what)
        for value in seen:
            writer = writers.get(value)
            if writer is None:
                what = f"T{index} read {value} in {key}, which no transaction appended"
                self._add("garbage-read", [index], key, what)
            elif self._history[writer].outcome is Outcome.FAILED:
                what = f"T{index} read {value} in {key}, appended by T{writer}, which failed"
                self._add("G1a", [writer, index], key, what)

    def check_intermediate(self, key: Key, versions: Versions) -> None:
        """No read ends amid the appends of another transaction."""
        writers = self._lists.writers.get(key, {})
        for index, seen in [*versions.readers, *versions.strays]:
            writer = writers.get(seen[-1]) if seen else None
            if writer is None or writer == index or not self._lists.committed[writer]:
                continue
            values = self._lists.views[writer].appends[key]
            if values[-1] != seen[-1]:
                what = (
                    f"T{index} read {key} -> {shown_value(seen)}, which ends with {seen[-1]}, but "
                    f"T{writer} went on to append {values[values.index(seen[-1]) + 1]}"
                )
                self._add("G1b", [writer, index], key, what)

    def check_updates(self, key: Key, versions: Versions) -> None:
        """Of the transactions that read one version of a key, at most one appended to it."""
        updaters: dict[int, list[int]] = {}
        for index, seen in versions.readers:
            if key in self._lists.views[index].appends:
                updaters.setdefault(len(seen), []).append(index)
        for length, indices in sorted(updaters.items()):
            if len(indices) > 1:
                names = ", ".join(f"T{index}" for index in indices)
                what = (
                    f"{names} all read {key} -> {shown_value(versions.longest[:length])} and then "
                    "appended to it; whichever was second had not seen the first"
                )
                self._add(LOST_UPDATE, indices, key, what)

    def _add(self, name: str, indices: Iterable[int], key: Key, what: str) -> None:
        involved = tuple(sorted(set(indices)))
        explanation = f"{what}\n{shown_transactions(self._history, involved)}"
        self._report.add(Anomaly(name, _TITLES[name], involved, (key,), explanation))


def _first(wanted: set[Scalar], values: Iterable[Scalar]) -> Scalar:
    return next(value for value in values if value in wanted)


def _known(index: int | None) -> list[int]:
    return [] if index is None else [index]


def _repeated(values: Elements) -> Iterator[Scalar]:
    """Each value that stands there more than once, once."""
    if len(set(values)) == len(values):
        return
    seen: set[Scalar] = set()
    told: set[Scalar] = set()
    for value in values:
        if value in seen and value not in told:
            told.add(value)
            yield value
        seen.add(value)
