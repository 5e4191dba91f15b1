r"""The graph of what must come before what, over the transactions of one history.

Nodes 0..n-1 are transactions. Further nodes are junctions, which let n transactions that all
precede m others be joined by n + m edges instead of n * m. A path through junctions stands for
one edge between two transactions, and all its parts are of one kind::

    T1 --\            /--> T4
    T2 ---> junction ----> T5         T1, T2 and T3 each come before T4, T5 and T6
    T3 --/            \--> T6
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from fastness.testing.history import History, Outcome

WRITE_WRITE: Final = 1
"""The target overwrote, or appended after, what the source wrote."""
WRITE_READ: Final = 2
"""The target read what the source wrote."""
READ_WRITE: Final = 4
"""The source did not see what the target wrote."""
PROCESS: Final = 8
"""One process ran the source, then the target."""
REAL_TIME: Final = 16
"""The source was complete before the target was invoked."""
TIMED_READ_WRITE: Final = 32
"""As `READ_WRITE`, where the order of the two versions follows from real time."""
OBSERVED_WRITE_WRITE: Final = 64
"""As `WRITE_WRITE`, where one reader saw the first version before another saw the second."""
OBSERVED_READ_WRITE: Final = 128
"""As `READ_WRITE`, where the order of the two versions was observed in that way."""

ANY_READ_WRITE: Final = READ_WRITE | TIMED_READ_WRITE | OBSERVED_READ_WRITE
ALL: Final = 255

Reason = TypeVar("Reason")


class Graph(Generic[Reason]):
    """Edges with a kind and a reason, which tells the checker how to explain an edge.

    `outgoing[node]` lists edge numbers; `target`, `kind` and `reason` are indexed by them.
    """

    def __init__(self, transactions: int) -> None:
        self.transactions = transactions
        self.outgoing: list[list[int]] = [[] for _ in range(transactions)]
        self.target: list[int] = []
        self.kind: list[int] = []
        self.reason: list[Reason | None] = []

    def junction(self) -> int:
        """A new node that is no transaction."""
        self.outgoing.append([])
        return len(self.outgoing) - 1

    def add(self, source: int, target: int, kind: int, reason: Reason | None = None) -> None:
        """Add an edge; nothing comes before itself, so one from a node to itself is left out."""
        if source == target:
            return
        self.outgoing[source].append(len(self.target))
        self.target.append(target)
        self.kind.append(kind)
        self.reason.append(reason)

    def add_all(
        self, sources: Sequence[int], targets: Sequence[int], kind: int, reason: Reason
    ) -> None:
        """Put every source before every target except itself, with O(sources + targets) edges."""
        if len(sources) == 1 or len(targets) == 1:
            for source in sources:
                for target in targets:
                    self.add(source, target, kind, reason)
        elif sources and targets:
            self._add_fan(sources, targets, kind, reason)

    def _add_fan(
        self, sources: Sequence[int], targets: Sequence[int], kind: int, reason: Reason
    ) -> None:
        """Two chains of junctions: `upto[i]` reaches targets 0..i, `onward[i]` targets i..last.

        A source that is itself target i takes upto[i - 1] and onward[i + 1]; any other takes
        onward[0].
        """
        place = {target: index for index, target in enumerate(targets)}
        onward = self._chain(targets[::-1], kind, reason)[::-1]
        overlap = any(source in place for source in sources)
        upto = self._chain(targets, kind, reason) if overlap else []
        for source in sources:
            index = place.get(source)
            if index is None:
                self.add(source, onward[0], kind, reason)
                continue
            if index > 0:
                self.add(source, upto[index - 1], kind, reason)
            if index + 1 < len(targets):
                self.add(source, onward[index + 1], kind, reason)

    def _chain(self, targets: Sequence[int], kind: int, reason: Reason) -> list[int]:
        """Junctions of which each reaches its target and, through the one before, all before."""
        chain: list[int] = []
        for target in targets:
            junction = self.junction()
            self.add(junction, target, kind, reason)
            if chain:
                self.add(junction, chain[-1], kind, reason)
            chain.append(junction)
        return chain


def add_real_time(graph: Graph[Reason], history: History, included: Sequence[bool]) -> None:
    """Put every acknowledged transaction before all that were invoked after its completion.

    Junctions along the time line keep that to three edges for each transaction, whatever the
    concurrency. A transaction with unknown outcome may take effect long after its client gave
    up: it comes after others, but none comes after it.
    """
    now: int | None = None
    waiting: list[int] = []
    for _, is_completion, index in _events(history, included):
        if is_completion:
            waiting.append(index)
            continue
        if waiting:
            earlier, now = now, graph.junction()
            if earlier is not None:
                graph.add(earlier, now, REAL_TIME)
            for completed in waiting:
                graph.add(completed, now, REAL_TIME)
            waiting.clear()
        if now is not None:
            graph.add(now, index, REAL_TIME)


def _events(history: History, included: Sequence[bool]) -> list[tuple[int, bool, int]]:
    """Invocations and completions in order; of equal times the invocation first: no order."""
    events = [(one.invoked, False, one.index) for one in history if included[one.index]]
    events += [
        (one.completed, True, one.index)
        for one in history
        if included[one.index] and one.outcome is Outcome.OK and one.completed is not None
    ]
    return sorted(events)


def add_process_order(graph: Graph[Reason], history: History, included: Sequence[bool]) -> None:
    """Put each acknowledged transaction before the next one of its process."""
    latest: dict[int, int] = {}
    for one in history:
        if not included[one.index]:
            continue
        if one.process in latest:
            graph.add(latest[one.process], one.index, PROCESS)
        if one.outcome is Outcome.OK:
            latest[one.process] = one.index
