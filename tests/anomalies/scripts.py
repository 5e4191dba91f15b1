"""Golden scripts: interleaved transactions that a person can read and the machine can run.

A script is a text file of scenarios. Each runs on an empty database of its own::

    == What the scenario shows
    given    x=1 y=2                 one transaction that sets these
    T1 begin                         transactions are named T1, T2, ...
    T1 get x -> 1                    or: -> absent
    T1 scan a..c -> a=1 b=2          or: -> nothing; every key k with a <= k < c
    T1 set x 2
    T1 delete x
    T1 delete a..c
    T1 add x 5                       an atomic addition; counters show as numbers
    T1 cancel
    T1 commit -> ok                  or: -> conflict x (the key that was overwritten)
    T1 commit is being written       applied to the store, not yet durable, not acknowledged
    T1 commit -> ok                  ... and now it is
    finally  x=2 y=2                 everything the database holds in the end

What stands right of an arrow, and after `finally`, is what is expected. `replay` runs a
scenario and answers its lines with what really came: the two texts are compared, exactly.
Empty lines and lines that begin with # are for the reader.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastness.client import Database, Transaction
from fastness.encoding import counters
from fastness.encoding.intervals import USER_END
from fastness.errors import Conflict
from tests.hosting.gates import Gate

PATIENCE_SECONDS = 60.0
"""How long a commit may take before the script is given up."""

COUNTER_PREFIX = b"hits"
"""Keys that begin so hold counters; the others hold text."""


@dataclass(frozen=True)
class Scenario:
    """A titled list of lines, each a step and what is expected of it."""

    title: str
    lines: list[str]


def scenarios_of(text: str) -> list[Scenario]:
    """The scenarios of a script; comments and empty lines dropped, spaces made single."""
    scenarios: list[Scenario] = []
    for raw in text.splitlines():
        line = " ".join(raw.split())
        if line.startswith("== "):
            scenarios.append(Scenario(line.removeprefix("== "), []))
        elif line and not line.startswith("#"):
            scenarios[-1].lines.append(line)
    return scenarios


@dataclass
class Player:
    """Runs the steps of one scenario against a database."""

    database: Database
    gate: Gate
    transactions: dict[str, Transaction] = field(default_factory=dict)
    commits: dict[str, _Commit] = field(default_factory=dict)

    def replay(self, scenario: Scenario) -> list[str]:
        """The scenario's lines, with what really came in the place of what was expected."""
        try:
            return [self._step(line) for line in scenario.lines]
        finally:
            self.gate.open()
            for commit in self.commits.values():
                commit.join()

    def _step(self, line: str) -> str:
        step = line.partition(" ->")[0]
        actor, _, action = step.partition(" ")
        if actor == "given":
            with self.database.transaction() as tx:
                for key, _, value in (pair.partition("=") for pair in action.split()):
                    tx.set(key.encode(), _stored(key, value))
            return line
        if actor == "finally":
            return f"finally {_shown_entries(self.database.scan_all(b'', USER_END))}"
        if action == "begin":
            self.transactions[actor] = self.database.transaction()
            return step
        answer = self._act(actor, action)
        return step if answer is None else f"{step} -> {answer}"

    def _act(self, actor: str, action: str) -> str | None:
        tx = self.transactions[actor]
        if action == "commit is being written":
            self.commits[actor] = _Commit(tx)
            self.gate.stop_next()
            self.commits[actor].start()
            self.gate.wait_until_reached()
            return None
        if action == "commit":
            commit = self.commits.setdefault(actor, _Commit(tx))
            self.gate.open()
            return commit.answer()
        return _read_or_write(tx, action)


class _Commit:
    """A commit in a thread of its own, so that a script can look at the database meanwhile."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._answer = ""
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_SECONDS)

    def answer(self) -> str:
        if self._thread.ident is None:
            self.start()
        self.join()
        return self._answer

    def _run(self) -> None:
        try:
            self._tx.commit()
        except Conflict as conflict:
            self._answer = f"conflict {conflict.key.decode()}"
        else:
            self._answer = "ok"


def _read_or_write(tx: Transaction, action: str) -> str | None:
    """Perform a step of one transaction; the answer of a read."""
    verb, *operands = action.split()
    match verb, operands:
        case "get", [key]:
            value = tx.get(key.encode())
            return "absent" if value is None else _shown(key.encode(), value)
        case "scan", [interval]:
            return _shown_entries(tx.scan_all(*_edges(interval)))
        case "set", [key, value]:
            tx.set(key.encode(), _stored(key, value))
        case "add", [key, amount]:
            tx.add(key.encode(), int(amount))
        case "delete", [interval] if ".." in interval:
            tx.delete_range(*_edges(interval))
        case "delete", [key]:
            tx.delete(key.encode())
        case "cancel", []:
            tx.cancel()
        case _:
            raise ValueError(f"no such step: {action!r}")
    return None


def _edges(interval: str) -> tuple[bytes, bytes]:
    begin, _, end = interval.partition("..")
    return begin.encode(), end.encode()


def _stored(key: str, value: str) -> bytes:
    return (
        counters.encode(int(value)) if key.encode().startswith(COUNTER_PREFIX) else value.encode()
    )


def _shown(key: bytes, value: bytes) -> str:
    return str(counters.decode(value)) if key.startswith(COUNTER_PREFIX) else value.decode()


def _shown_entries(entries: Iterator[tuple[bytes, bytes]]) -> str:
    shown = " ".join(f"{key.decode()}={_shown(key, value)}" for key, value in entries)
    return shown or "nothing"


def scripts() -> list[Path]:
    """Every script, one per anomaly."""
    return sorted(Path(__file__).parent.glob("*.txt"))


EXPECTATION = re.compile(r"(?: -> |^finally )(?P<expected>.+)$")
"""Where a line says what is expected."""
