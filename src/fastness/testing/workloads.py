"""Workloads: seeded random transactions whose histories the checkers can judge.

A workload says what each client does, and nothing about how it is run: a transaction is a
program, a generator that yields `Get` and `Put` and is sent what a get found. `drivers` runs
programs on threads and on tasks; a simulator steps through them one operation at a time.

The same seed gives the same transactions for each process. Their interleaving is the driver's
and the machine's. A workload expects its key space (`prefix`) to be empty.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from random import Random

from fastness.errors import InvalidOption
from fastness.testing.bank import check_bank
from fastness.testing.history import History, OpenTransaction, Scalar
from fastness.testing.list_append import check_list_append
from fastness.testing.read_write_registers import check_read_write_registers
from fastness.testing.registers import check_registers
from fastness.testing.report import Report


@dataclass(frozen=True, slots=True)
class Get:
    """Ask for the value of a key; the program is sent `bytes`, or `None` where it is absent."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """Give a key a value; the program is sent `None`."""

    key: bytes
    value: bytes


Program = Generator[Get | Put, bytes | None, None]
"""One attempt of one transaction. It commits after the program ends."""

Plan = Callable[[OpenTransaction], Program]
"""Begins an attempt, which notes what it does in the record given. Attempts are alike."""


@dataclass(frozen=True, kw_only=True)
class Workload(ABC):
    """What `processes` clients do, `transactions` each, and how their history is judged."""

    seed: int = 0
    processes: int = 8
    transactions: int = 200
    """Of each process."""
    keys: int = 8
    """Keys in use at any moment."""
    prefix: bytes = b"history/"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "seed" and isinstance(value, int) and value < 1:
                raise InvalidOption(
                    f"{type(self).__name__}({field.name}={value!r}) would run nothing; give it "
                    "at least 1"
                )

    def setup(self) -> Sequence[Plan]:
        """Transactions to run before the others, again until acknowledged; not judged."""
        return ()

    @abstractmethod
    def client(self, process: int) -> Iterator[Plan]:
        """The transactions of one process, in order."""

    @abstractmethod
    def finale(self) -> Sequence[Plan]:
        """Transactions to run after all others, which see what the others left."""

    @abstractmethod
    def check(self, history: History) -> Report:
        """Judge what was recorded."""

    def random(self, process: int) -> Random:
        """The randomness of one process, the same in every run."""
        return Random(f"{type(self).__name__} {self.seed} {process}")

    def place(self, key: int) -> bytes:
        """Where the database keeps a key."""
        return self.prefix + b"%08d" % key


@dataclass(frozen=True, kw_only=True)
class ListAppendWorkload(Workload):
    """Transactions of reads of, and appends to, lists: the sharpest of the workloads.

    A list is stored as decimal numbers joined by spaces, and an append reads it first. After
    about `appends_max` appends a key gives way to a new one, so that lists stay short.
    """

    operations_max: int = 4
    appends_max: int = 64

    def client(self, process: int) -> Iterator[Plan]:
        """Random reads and appends, with values unique over all processes."""
        random = self.random(process)
        value = process
        for done in range(self.transactions):
            steps: list[tuple[int, int | None]] = []
            for _ in range(random.randint(1, self.operations_max)):
                key = self._oldest(done) + random.randrange(self.keys)
                appends = random.random() < 0.5
                steps.append((key, value if appends else None))
                value += self.processes if appends else 0
            yield self._plan(steps)

    def finale(self) -> Sequence[Plan]:
        """Reads of every key, so that a lost append cannot hide in an old one."""
        count = self._oldest(self.transactions) + self.keys
        return [
            self._plan([(key, None) for key in range(first, min(first + 8, count))])
            for first in range(0, count, 8)
        ]

    def check(self, history: History) -> Report:
        """As `check_list_append`."""
        return check_list_append(history)

    def _oldest(self, done: int) -> int:
        """The oldest key in use once each process ran `done` transactions, at half appends."""
        return done * self.processes * (self.operations_max + 1) // 4 // self.appends_max

    def _plan(self, steps: Sequence[tuple[int, int | None]]) -> Plan:
        def program(record: OpenTransaction) -> Program:
            for key, value in steps:
                stored = (yield Get(self.place(key))) or b""
                if value is None:
                    record.read(key, tuple(_scalar(one) for one in stored.split()))
                else:
                    yield Put(self.place(key), (stored + b" %d" % value).lstrip())
                    record.append(key, value)

        return program


@dataclass(frozen=True, kw_only=True)
class RegisterWorkload(Workload):
    """Single reads, writes and compare-and-sets, judged for linearizability key by key."""

    def client(self, process: int) -> Iterator[Plan]:
        """Half reads; the rest writes, and compare-and-sets from what this process saw last."""
        random = self.random(process)
        seen: dict[int, Scalar] = {}
        for done in range(self.transactions):
            key, value = random.randrange(self.keys), process + done * self.processes
            kind = random.random()
            if kind < 0.5:
                yield self._read(key, seen)
            elif kind < 0.75:
                yield self._write(key, value)
            else:
                yield self._compare_and_set(key, seen, value)

    def finale(self) -> Sequence[Plan]:
        """A read of every key."""
        return [self._read(key, {}) for key in range(self.keys)]

    def check(self, history: History) -> Report:
        """As `check_registers`."""
        return check_registers(history)

    def _read(self, key: int, seen: dict[int, Scalar]) -> Plan:
        def program(record: OpenTransaction) -> Program:
            seen[key] = _optional((yield Get(self.place(key))))
            record.read(key, seen[key])

        return program

    def _write(self, key: int, value: int) -> Plan:
        def program(record: OpenTransaction) -> Program:
            yield Put(self.place(key), b"%d" % value)
            record.write(key, value)

        return program

    def _compare_and_set(self, key: int, seen: dict[int, Scalar], value: int) -> Plan:
        def program(record: OpenTransaction) -> Program:
            expected = seen.get(key)
            found = _optional((yield Get(self.place(key))))
            if found == expected:
                yield Put(self.place(key), b"%d" % value)
            record.compare_and_set(key, expected, value, swapped=found == expected)

        return program


@dataclass(frozen=True, kw_only=True)
class ReadWriteWorkload(Workload):
    """Transactions of reads and writes of several registers, half of the writes blind."""

    operations_max: int = 4

    def client(self, process: int) -> Iterator[Plan]:
        """Random reads and writes, with values unique over all processes."""
        random = self.random(process)
        value = process
        for _ in range(self.transactions):
            steps: list[tuple[int, int | None]] = []
            for _ in range(random.randint(1, self.operations_max)):
                key, kind = random.randrange(self.keys), random.random()
                if kind < 0.75:
                    steps.append((key, None))
                if kind >= 0.5:
                    steps.append((key, value))
                    value += self.processes
            yield self._plan(steps)

    def finale(self) -> Sequence[Plan]:
        """One read of all keys."""
        return [self._plan([(key, None) for key in range(self.keys)])]

    def check(self, history: History) -> Report:
        """As `check_read_write_registers`."""
        return check_read_write_registers(history)

    def _plan(self, steps: Sequence[tuple[int, int | None]]) -> Plan:
        def program(record: OpenTransaction) -> Program:
            for key, value in steps:
                if value is None:
                    record.read(key, _optional((yield Get(self.place(key)))))
                else:
                    yield Put(self.place(key), b"%d" % value)
                    record.write(key, value)

        return program


@dataclass(frozen=True, kw_only=True)
class BankWorkload(Workload):
    """Transfers between accounts (`keys` of them), and snapshots of all."""

    balance: int = 100
    """What each account holds at first."""

    def setup(self) -> Sequence[Plan]:
        """Fill the accounts."""

        def program(_: OpenTransaction) -> Program:
            for account in range(self.keys):
                yield Put(self.place(account), b"%d" % self.balance)

        return [program]

    def client(self, process: int) -> Iterator[Plan]:
        """Half snapshots, in any order of accounts; half transfers, refused where not covered."""
        random = self.random(process)
        for _ in range(self.transactions):
            accounts = random.sample(range(self.keys), self.keys)
            amount = random.randint(1, self.balance // 4 + 1)
            if random.random() < 0.5 or self.keys < 2:
                yield self._snapshot(accounts)
            else:
                yield self._transfer(accounts[0], accounts[1], amount)

    def finale(self) -> Sequence[Plan]:
        """One snapshot."""
        return [self._snapshot(range(self.keys))]

    def check(self, history: History) -> Report:
        """As `check_bank`."""
        accounts = range(self.keys)
        return check_bank(history, accounts=accounts, total=self.keys * self.balance)

    def _snapshot(self, accounts: Sequence[int]) -> Plan:
        def program(record: OpenTransaction) -> Program:
            for account in accounts:
                record.read(account, _optional((yield Get(self.place(account)))))

        return program

    def _transfer(self, source: int, target: int, amount: int) -> Plan:
        def program(record: OpenTransaction) -> Program:
            balances: list[int] = []
            for account in (source, target):
                found = _optional((yield Get(self.place(account))))
                record.read(account, found)
                if not isinstance(found, int):
                    return
                balances.append(found)
            if balances[0] < amount:
                return
            for account, balance in (
                (source, balances[0] - amount),
                (target, balances[1] + amount),
            ):
                yield Put(self.place(account), b"%d" % balance)
                record.write(account, balance)

        return program


def _scalar(text: bytes) -> int | str:
    """A number as it was written; anything else as text, which the checkers call garbage."""
    try:
        return int(text)
    except ValueError:
        return text.decode("latin-1")


def _optional(value: bytes | None) -> Scalar:
    return None if value is None else _scalar(value)
