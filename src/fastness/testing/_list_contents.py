"""What is wrong with lists by themselves, before any order of transactions is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastness.testing._explanations import LOST_UPDATE, Findings
from fastness.testing._lists import Elements, Lists, Versions
from fastness.testing.history import History, Key, Outcome, Scalar
from fastness.testing.report import Report, shown_value


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
        self._findings = Findings(report, history)
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
            self._findings.add("internal", [index], key, what)
        for key, values in view.appends.items():
            early = set(values).intersection(view.reads.get(key, ()))
            if early:
                what = f"T{index} read {_first(early, values)} in {key} before it appended it"
                self._findings.add("internal", [index], key, what)

    def check_versions(self, key: Key, versions: Versions) -> None:
        """The reads of a key agree, and hold what committed transactions appended, once."""
        longest = (versions.longest_reader, versions.longest)
        for index, seen in [longest, *versions.strays]:
            self._check_elements(key, index, seen)
            self._check_own_order(key, index, seen)
        for index, seen in versions.strays:
            place = next(i for i, value in enumerate(seen) if value != versions.longest[i])
            what = (
                f"place {place + 1} of {key} held {seen[place]} for T{index} and "
                f"{versions.longest[place]} for T{longest[0]}, but an append only adds at the end"
            )
            self._findings.add("incompatible-order", [index, longest[0]], key, what)

    def _check_elements(self, key: Key, index: int, seen: Elements) -> None:
        writers = self._lists.writers.get(key, {})
        for value in _repeated(seen):
            what = f"T{index} read {key} -> {shown_value(seen)}, which holds {value} twice"
            self._findings.add("duplicate-element", [index, *_known(writers.get(value))], key, what)
        for value in seen:
            writer = writers.get(value)
            if writer is None:
                what = f"T{index} read {value} in {key}, which no transaction appended"
                self._findings.add("garbage-read", [index], key, what)
            elif self._history[writer].outcome is Outcome.FAILED:
                what = f"T{index} read {value} in {key}, appended by T{writer}, which failed"
                self._findings.add("G1a", [writer, index], key, what)

    def _check_own_order(self, key: Key, index: int, seen: Elements) -> None:
        """The appends of one transaction stand in the order it made them."""
        writers = self._lists.writers.get(key, {})
        met: dict[int, int] = {}
        for value in dict.fromkeys(seen):
            writer = writers.get(value)
            values = [] if writer is None else self._lists.views[writer].appends[key]
            if writer is None or len(values) == 1:
                continue
            place = values.index(value)
            if met.get(writer, -1) > place:
                what = (
                    f"T{index} read {key} -> {shown_value(seen)}, where {value} stands after "
                    f"{values[met[writer]]}, but T{writer} appended it before"
                )
                self._findings.add("incompatible-order", [writer, index], key, what)
            met[writer] = place

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
                self._findings.add("G1b", [writer, index], key, what)

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
                self._findings.add(LOST_UPDATE, indices, key, what)


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
