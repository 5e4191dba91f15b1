"""Cycles told in words: each transaction, then each edge with what forces it.

What forces an edge of data only its checker knows; it hands over a function that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from fastness.testing._cycles import Cycle, Step, find_cycles
from fastness.testing._graph import (
    ANY_READ_WRITE,
    PROCESS,
    REAL_TIME,
    WRITE_WRITE,
    Graph,
    Reason,
)
from fastness.testing.history import History, Key
from fastness.testing.report import Anomaly, Report, shown_transactions

LOST_UPDATE: Final = "lost-update"

TITLES: Final = {
    "G0": "dirty write: writes of two transactions interleaved",
    "G1c": "circular information flow: each saw what the other had not yet committed",
    "G-single": "read skew: half of another transaction was seen",
    "G-nonadjacent": "long fork: two readers saw two writes in opposite orders",
    "G2": "write skew: each acted on what the other was about to change",
    LOST_UPDATE: "an update was overwritten by one that had not seen it",
    "G1a": "aborted read: what a failed transaction wrote was seen",
    "G1b": "intermediate read: a transaction was seen half done",
    "garbage-read": "a value that nobody wrote",
    "internal": "a transaction contradicts itself",
    "incompatible-order": "a list was seen in an order that its appends cannot have had",
    "duplicate-element": "an append took effect twice",
}
_TITLES_PROCESS: Final = {
    "G0": "a process's own writes took effect out of order",
    "G1c": "a process read what came after it",
    "G-single": "stale read: a process did not see what it had already seen or written",
    "G-nonadjacent": "stale reads within processes",
    "G2": "stale reads within processes",
}
_TITLES_REAL_TIME: Final = {
    "G0": "writes took effect against the order of real time",
    "G1c": "read from the future",
    "G-single": "stale read: acknowledged before the reader began, and not seen",
    "G-nonadjacent": "stale reads",
    "G2": "stale reads",
}
_CAUSAL_REVERSAL: Final = "causal reversal: a later write was seen without an earlier one"


@dataclass(frozen=True, slots=True)
class Findings:
    """Where anomalies go that show without a cycle, each said in a sentence."""

    report: Report
    history: History

    def add(self, name: str, indices: Iterable[int], key: Key, what: str) -> None:
        """Report that `what` went wrong with `key` in these transactions."""
        involved = tuple(sorted(set(indices)))
        explanation = f"{what}\n{shown_transactions(self.history, involved)}"
        self.report.add(Anomaly(name, TITLES[name], involved, (key,), explanation))


def report_cycles(
    report: Report,
    history: History,
    graph: Graph[Reason],
    *,
    key_of: Callable[[Reason], Key],
    describe: Callable[[Step[Reason]], str],
) -> None:
    """Find the graph's cycles and add each to the report, unless the same is there already.

    `key_of` gives the key of an edge's reason; `describe` says in a clause why an edge of data
    must be.
    """
    lost_updates = {frozenset(one.transactions) for one in report.named(LOST_UPDATE)}
    for cycle in find_cycles(graph):
        name = _name(cycle, key_of)
        if name != LOST_UPDATE or frozenset(cycle.transactions) not in lost_updates:
            keys = _keys(cycle, key_of)
            text = _explanation(history, cycle, keys, describe)
            report.add(Anomaly(name, _title(cycle, name), cycle.transactions, keys, text))


def _keys(cycle: Cycle[Reason], key_of: Callable[[Reason], Key]) -> tuple[Key, ...]:
    """The keys of a cycle's edges, each once, in the cycle's order."""
    return tuple(dict.fromkeys(key_of(s.reason) for s in cycle.steps if s.reason is not None))


def _name(cycle: Cycle[Reason], key_of: Callable[[Reason], Key]) -> str:
    """The class; two transactions that wrote one key, of which one missed the other: lost update.

    That is a cycle of anti-dependencies and write orders on a single key, with at least one
    anti-dependency.
    """
    kinds = [step.kind for step in cycle.steps]
    lost = (
        len(kinds) == 2
        and len(_keys(cycle, key_of)) == 1
        and all(kind & (ANY_READ_WRITE | WRITE_WRITE) for kind in kinds)
        and any(kind & ANY_READ_WRITE for kind in kinds)
    )
    return LOST_UPDATE if lost and "-" not in cycle.name.removeprefix("G-") else cycle.name


def _title(cycle: Cycle[Reason], name: str) -> str:
    base = name.removesuffix("-realtime").removesuffix("-process")
    if base == name:
        return TITLES[name]
    if base == "G-single" and not _reader_came_later(cycle):
        return _CAUSAL_REVERSAL
    return (_TITLES_PROCESS if name.endswith("-process") else _TITLES_REAL_TIME)[base]


def _reader_came_later(cycle: Cycle[Reason]) -> bool:
    """Whether time itself puts the reader after what it missed, not another's write it saw."""
    kinds = [step.kind for step in cycle.steps]
    return any(
        kind & ANY_READ_WRITE and kinds[place - 1] & (PROCESS | REAL_TIME)
        for place, kind in enumerate(kinds)
    )


def _explanation(
    history: History,
    cycle: Cycle[Reason],
    keys: Collection[Key],
    describe: Callable[[Step[Reason]], str],
) -> str:
    names = [history[index].name for index in cycle.transactions]
    because = [
        f"    {history[step.source].name} before {history[step.target].name}: "
        f"{_clause(history, step, describe)}"
        for step in cycle.steps
    ]
    return "\n".join(
        [
            "no order of these transactions explains what they saw",
            shown_transactions(history, sorted(cycle.transactions), keys=keys),
            "  because",
            *because,
            f"  so {names[0]} would have to come before itself.",
        ]
    )


def _clause(history: History, step: Step[Reason], describe: Callable[[Step[Reason]], str]) -> str:
    source, target = history[step.source], history[step.target]
    if step.kind == REAL_TIME:
        return (
            f"{source.name} was complete at {source.completed}, {target.name} began "
            f"at {target.invoked}"
        )
    if step.kind == PROCESS:
        return f"process {source.process} ran {source.name} first"
    return describe(step)
