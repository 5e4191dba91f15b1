"""What a checker found, as data and as text a person can follow without trusting the checker.

Every anomaly names its class, the transactions and keys it involves, and explains itself from
the recorded operations alone.

Classes: those of Adya ("Weak Consistency", 1999: G0, G1a, G1b, G1c, G-single, G2) as Elle
extends them (Kingsbury & Alvaro, VLDB 2020), with `-process` or `-realtime` where the cycle
needs the order of one process, or of real time, to close.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from fastness.invariants import InvariantViolation
from fastness.testing.history import (
    Append,
    CompareAndSet,
    History,
    Key,
    Operation,
    Outcome,
    Read,
    Transaction,
    Value,
    Write,
)

SHOWN_MAX = 8
"""Anomalies of one class that a report keeps; the rest are only counted."""
ELEMENTS_SHOWN = 12
"""Elements of a list that are shown as it is."""
ELEMENTS_KEPT = 6
"""Elements at the end of a longer one: an append only changes the end."""
OPERATIONS_SHOWN = 16
"""Operations of a transaction before the rest is left out."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One thing that no correct database could have shown.

    `name` is the class (`G-single-realtime`), `title` says it in words (`stale read`),
    `transactions` are indices into the history.
    """

    name: str
    title: str
    transactions: tuple[int, ...]
    keys: tuple[Key, ...]
    explanation: str

    def __str__(self) -> str:
        return f"{self.name} ({self.title}): {self.explanation}"


@dataclass(slots=True)
class Report:
    """The verdict on one history.

    `ok` says that nothing was found. `committed` and `reads` tell how much there was to find:
    a history in which nothing committed is clean, and proves nothing.
    """

    checker: str
    transactions: int
    committed: int
    reads: int
    anomalies: list[Anomaly] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """How often each class was found, the ones not kept included."""

    @classmethod
    def on(cls, checker: str, history: History) -> Report:
        """An empty report on a history."""
        acknowledged = [one for one in history if one.outcome is Outcome.OK]
        reads = sum(isinstance(done, Read) for one in acknowledged for done in one.operations)
        return cls(checker, len(history), len(acknowledged), reads)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.counts

    def add(self, anomaly: Anomaly) -> None:
        """Count an anomaly, and keep it if few of its class came before."""
        self.counts[anomaly.name] += 1
        if self.counts[anomaly.name] <= SHOWN_MAX:
            self.anomalies.append(anomaly)

    def full(self, name: str) -> bool:
        """Whether another anomaly of this class would only be counted."""
        return self.counts[name] >= SHOWN_MAX

    def named(self, name: str) -> list[Anomaly]:
        """The anomalies kept of one class."""
        return [anomaly for anomaly in self.anomalies if anomaly.name == name]

    def require_ok(self) -> None:
        """Raise `InvariantViolation`, an `AssertionError`, with the explanation unless `ok`."""
        if not self.ok:
            raise InvariantViolation(str(self))

    def __str__(self) -> str:
        extent = (
            f"{self.checker}: {self.transactions} transactions, {self.committed} acknowledged, "
            f"{self.reads} reads"
        )
        if self.ok:
            return f"{extent}: no anomaly"
        found = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        return "\n\n".join([f"{extent}: {found}", *(str(one) for one in self.anomalies)])


def shown_value(value: Value) -> str:
    """A value as explanations print it; the end of a long list."""
    if not isinstance(value, tuple):
        return "nothing" if value is None else str(value)
    elements = [str(element) for element in value]
    if len(elements) > ELEMENTS_SHOWN:
        left_out = len(elements) - ELEMENTS_KEPT
        kept = elements[left_out:]
        elements = [f"..{left_out} more..", *kept]
    return f"[{' '.join(elements)}]"


def shown_operation(operation: Operation) -> str:
    """An operation as explanations print it."""
    match operation:
        case Read(key, value):
            return f"read {key} -> {shown_value(value)}"
        case Write(key, value):
            return f"write {key} {shown_value(value)}"
        case Append(key, value):
            return f"append {key} {shown_value(value)}"
        case CompareAndSet(key, expected, value, swapped):
            answer = {True: "done", False: "refused", None: "unknown"}[swapped]
            return f"cas {key} {shown_value(expected)} to {shown_value(value)} -> {answer}"


def shown_transaction(transaction: Transaction, *, keys: Collection[Key] = ()) -> str:
    """A transaction on one line: name, process, times, outcome if not `OK`, operations.

    Where `keys` are given, operations on others are only counted.
    """
    completed = "?" if transaction.completed is None else transaction.completed
    outcome = "" if transaction.outcome is Outcome.OK else f" {transaction.outcome.value}"
    wanted = [one for one in transaction.operations if not keys or one.key in keys]
    operations = [shown_operation(one) for one in wanted[:OPERATIONS_SHOWN]]
    if len(operations) < len(transaction.operations):
        operations.append(f"and {len(transaction.operations) - len(operations)} more")
    return (
        f"{transaction.name}  process {transaction.process}, "
        f"{transaction.invoked}..{completed}{outcome}:  {'; '.join(operations)}"
    )


def shown_transactions(
    history: History, indices: Iterable[int], *, keys: Collection[Key] = ()
) -> str:
    """Transactions, one indented line each."""
    return "\n".join(f"    {shown_transaction(history[index], keys=keys)}" for index in indices)
