"""Histories: what concurrent clients of a database did, and when, as they saw it.

A history is a list of transactions. Each names its process (one logical client, which runs
one transaction at a time), the moment it was invoked, the moment its outcome was known, the
outcome, and its operations in order::

    process 0   |--- append x 1 ---|        |--- read x -> [1 2] ---|
    process 1          |------ append x 2 ------|
                time ->

The outcome is `OK` (acknowledged), `FAILED` (certainly not committed) or `UNKNOWN` (it may
have committed, or may commit later still).

Time is any clock of which one fact holds: if one transaction was complete before another was
invoked, then its completion reads *less* than the other's invocation. The default is a counter
shared by all threads of the process: drawn before the first operation is sent and after the
answer came, it never ties, so that no order between two transactions is lost, and it does not
depend on the resolution of a system clock. Histories recorded by several processes of
one host and merged need a clock they share: `Recorder(clock=time.monotonic_ns)`. A tie
counts as concurrent there, which may hide a violation but never invents one. Clocks of different
hosts do not qualify.

Limits: keys are `str` or `int`; values `str`, `int` or `None` (absent), and for lists tuples of
these, so that a history can be stored as JSON. A recorder keeps all it is given in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import overload

from fastness.errors import FastnessError, UsageError
from fastness.invariants import check

Key = str | int
Scalar = str | int | None
Value = Scalar | tuple[Scalar, ...]


class InvalidHistory(UsageError):
    """A history that cannot be judged: a damaged file, or operations a checker does not know.

    `line` is the line of the file it was read from, 0 where there is none.
    """

    code = "invalid_history"

    def __init__(self, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Read:
    """The value of a key: a scalar, `None` where absent, or the list that `Append` grows."""

    key: Key
    value: Value


@dataclass(frozen=True, slots=True)
class Write:
    """A key was given a value, whatever it held."""

    key: Key
    value: Scalar


@dataclass(frozen=True, slots=True)
class Append:
    """A value was added at the end of the list a key holds."""

    key: Key
    value: Scalar


@dataclass(frozen=True, slots=True)
class CompareAndSet:
    """A key was given `value` if it held `expected`; `swapped` is the answer, `None` unknown."""

    key: Key
    expected: Scalar
    value: Scalar
    swapped: bool | None


Operation = Read | Write | Append | CompareAndSet


class Outcome(Enum):
    """What the client knows of a transaction."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


def outcome_of(error: BaseException) -> Outcome:
    """What an error says about the transaction it ended.

    An attribute `maybe_committed` that is true means unknown; any other `FastnessError`
    means failed. Everything else, a cancellation included, promises nothing: unknown.
    """
    if getattr(error, "maybe_committed", False):
        return Outcome.UNKNOWN
    return Outcome.FAILED if isinstance(error, FastnessError) else Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction as its client saw it.

    `index` is its place in the history and its name in explanations (`T7`). `invoked` was read
    before its first operation was sent; `completed` after the outcome was known, `None` if it
    never was (only with `UNKNOWN`).
    """

    index: int
    process: int
    invoked: int
    completed: int | None
    outcome: Outcome
    operations: tuple[Operation, ...]

    @property
    def name(self) -> str:
        """How explanations call it."""
        return f"T{self.index}"


class History(Sequence[Transaction]):
    """Transactions in the order of their invocation, numbered in that order.

    Raises `InvalidHistory` where that is not so, or where a process runs two at once.
    """

    def __init__(self, transactions: Iterable[Transaction]) -> None:
        self._transactions = tuple(transactions)
        previous: dict[int, Transaction] = {}
        invoked: int | None = None
        for index, transaction in enumerate(self._transactions):
            _require_in_order(transaction, index, invoked)
            invoked = transaction.invoked
            if transaction.process in previous:
                _require_sequential(previous[transaction.process], transaction)
            previous[transaction.process] = transaction

    @classmethod
    def of(cls, transactions: Iterable[Transaction]) -> History:
        """Sort by invocation and number afresh; merges histories that share a clock."""
        ordered = sorted(transactions, key=lambda transaction: transaction.invoked)
        return cls(
            Transaction(index, one.process, one.invoked, one.completed, one.outcome, one.operations)
            for index, one in enumerate(ordered)
        )

    @overload
    def __getitem__(self, index: int) -> Transaction: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Transaction]: ...

    def __getitem__(self, index: int | slice) -> Transaction | Sequence[Transaction]:
        return self._transactions[index]

    def __len__(self) -> int:
        return len(self._transactions)

    def __iter__(self) -> Iterator[Transaction]:
        return iter(self._transactions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._transactions == other._transactions

    def __hash__(self) -> int:
        return hash(self._transactions)

    def __repr__(self) -> str:
        return f"<History of {len(self._transactions)} transactions>"


def _require_in_order(transaction: Transaction, index: int, invoked: int | None) -> None:
    """The invariants of one record, and its place after the one before it."""
    if transaction.index != index or (invoked is not None and transaction.invoked < invoked):
        raise InvalidHistory(
            f"{transaction} stands at place {index}, out of the order of invocation; build the "
            "history with History.of(transactions), which sorts and numbers them"
        )
    if transaction.completed is None:
        if transaction.outcome is not Outcome.UNKNOWN:
            raise InvalidHistory(
                f"{transaction} has an outcome but no completion time; give it one, or leave "
                "the outcome unknown"
            )
    elif transaction.completed < transaction.invoked:
        raise InvalidHistory(
            f"{transaction} was complete before it was invoked; read one clock, before the first "
            "operation and after the answer"
        )


def _require_sequential(before: Transaction, after: Transaction) -> None:
    """A process runs one transaction at a time; else process order means nothing."""
    if before.completed is None or before.completed > after.invoked:
        raise InvalidHistory(
            f"process {after.process} invoked {after.name} at {after.invoked} while {before.name} "
            "was still open; give each concurrent client its own process (Recorder.process())"
        )


class OpenTransaction:
    """A transaction being recorded; one thread or task uses it."""

    __slots__ = ("_recorder", "completed", "invoked", "operations", "outcome", "process")

    def __init__(self, recorder: Recorder, process: int, invoked: int) -> None:
        self._recorder = recorder
        self.process = process
        self.invoked = invoked
        self.completed: int | None = None
        self.outcome: Outcome | None = None
        self.operations: list[Operation] = []

    def read(self, key: Key, value: Value) -> None:
        """Record that `key` held `value`."""
        self.operations.append(Read(key, value))

    def write(self, key: Key, value: Scalar) -> None:
        """Record that `key` was given `value`."""
        self.operations.append(Write(key, value))

    def append(self, key: Key, value: Scalar) -> None:
        """Record that `value` was added to the list at `key`."""
        self.operations.append(Append(key, value))

    def compare_and_set(
        self, key: Key, expected: Scalar, value: Scalar, *, swapped: bool | None
    ) -> None:
        """Record a compare-and-set and its answer."""
        self.operations.append(CompareAndSet(key, expected, value, swapped))

    def restart(self) -> None:
        """Forget the operations: the database rolled this attempt back and runs another."""
        self.operations = []

    def complete(self, outcome: Outcome) -> None:
        """Record the outcome, now; exactly once."""
        check(self.outcome is None, f"the transaction was already complete: {self.outcome}")
        self.completed = self._recorder.now()
        self.outcome = outcome

    def recorded(self, index: int) -> Transaction:
        """What is known of it now, as the transaction at a place of a history."""
        outcome, completed = self.outcome, self.completed
        operations = tuple(self.operations)
        if outcome is None:
            return Transaction(index, self.process, self.invoked, None, Outcome.UNKNOWN, operations)
        return Transaction(index, self.process, self.invoked, completed, outcome, operations)


class Recorder:
    """Records the transactions of many threads or tasks, for a microsecond or so each.

    No lock is taken: an open transaction belongs to one thread or task, and what threads share
    is one counter and one list, whose `next` and `append` are atomic in CPython.
    """

    def __init__(self, *, clock: Callable[[], int] | None = None) -> None:
        self.now: Callable[[], int] = clock if clock is not None else itertools.count(1).__next__
        self._processes = itertools.count()
        self._begun: list[OpenTransaction] = []

    def process(self) -> int:
        """A process number not given out before: one for each concurrent client."""
        return next(self._processes)

    def begin(self, process: int) -> OpenTransaction:
        """Record an invocation; call it before the first operation is sent."""
        begun = OpenTransaction(self, process, self.now())
        self._begun.append(begun)
        return begun

    @contextmanager
    def transaction(self, process: int) -> Iterator[OpenTransaction]:
        """A transaction that is `OK` if the block ends, else what `outcome_of` the error says."""
        begun = self.begin(process)
        try:
            yield begun
        except BaseException as error:
            begun.complete(outcome_of(error))
            raise
        begun.complete(Outcome.OK)

    def history(self) -> History:
        """Everything recorded so far; transactions still open count as unknown."""
        begun = sorted(self._begun, key=lambda transaction: transaction.invoked)
        return History(one.recorded(index) for index, one in enumerate(begun))
