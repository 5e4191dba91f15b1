"""A session: statements run on a database, one transaction each, and their answers printed.

The session owns the directory where it can. Beside another process that holds it, it looks:
each statement opens the directory anew, so it sees what was committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

import fastness
from fastness import Database, Timestamp, Transaction
from fastness.cli import figures
from fastness.cli.opening import database_url, reading, writing
from fastness.cli.output import Output
from fastness.cli.shell.records import StoredSchema
from fastness.cli.shell.statements import LINES_MAX, STATEMENTS, WRITES, Answer, Call, Statement
from fastness.cli.shell.words import words
from fastness.errors import DirectoryHeld, InvalidOption, StoreReadOnly

EXITS = ("exit", "quit")
SETTINGS = {
    "at": ("MOMENT | now", "read the past from here on, or the present again"),
    "limit": ("COUNT", f"how many lines scan, list and query show ({LINES_MAX} at first)"),
    "help": ("", "this list"),
    "exit": ("", "leave (or Ctrl-D)"),
}
"""What changes the session rather than the database."""


class Session:
    """One database and how it is looked at."""

    def __init__(self, database: str, output: Output, *, read_only: bool = False) -> None:
        """Open the database; beside a holder, or if asked, for reading only."""
        self.url = database_url(database)
        self.at: Timestamp | datetime | None = None
        self.limit = LINES_MAX
        self._output = output
        self._schema = StoredSchema()
        self._stack = ExitStack()
        self._owned: Database | None = None
        self.why_read_only = "--read-only was given" if read_only else ""
        if not read_only:
            try:
                self._owned = self._stack.enter_context(writing(self.url, output))
            except DirectoryHeld as held:
                self.why_read_only = str(held)
        with self.database():
            pass

    @property
    def is_read_only(self) -> bool:
        """Whether writes are refused."""
        return self._owned is None

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The database as it is now."""
        if self._owned is not None:
            yield self._owned
        else:
            with reading(self.url) as opened:
                yield opened

    def run(self, line: str) -> bool:
        """Run one line and print its answer; whether the session goes on."""
        if line.lstrip().startswith("#"):
            return True
        name, *rest = words(line) or ("",)
        if name in EXITS:
            return False
        if name in SETTINGS:
            self._change(name, rest)
        elif name in STATEMENTS:
            self._print(self._answers(STATEMENTS[name], rest))
        elif name:
            raise InvalidOption(f"there is no statement {name!r}: 'help' lists them")
        return True

    def _answers(self, statement: Statement, rest: list[str]) -> list[Answer]:
        statement.require_words(rest)
        call = Call(rest, self.limit, self._schema)
        if statement in WRITES:
            return self._written(statement, call)
        with self.database() as opened, opened.transaction(at=self.at, read_only=True) as tx:
            return statement.body(tx, call)

    def _written(self, statement: Statement, call: Call) -> list[Answer]:
        if self._owned is None:
            raise StoreReadOnly(f"this session only reads: {self.why_read_only}")
        if self.at is not None:
            raise InvalidOption("the past cannot be changed: 'at now' goes back to the present")
        transactions: list[Transaction] = []

        def body(tx: Transaction) -> list[Answer]:
            transactions[:] = [tx]
            return statement.body(tx, call)

        answers = self._owned.run(body)
        if self._output.on_terminal:
            timestamp = transactions[0].commit_timestamp or 0
            self._output.remark(f"committed at {timestamp} ({figures.moment(timestamp)})")
        return answers

    def _print(self, answers: list[Answer]) -> None:
        for answer in answers:
            if self._output.as_json:
                self._output.line(answer.document)
            else:
                self._output.text(answer.text)

    def _change(self, name: str, rest: list[str]) -> None:
        if name == "help":
            self._help()
        elif len(rest) != 1:
            raise InvalidOption(f"write: {name} {SETTINGS[name][0]}")
        elif name == "limit":
            self.limit = self._parsed_limit(rest[0])
        else:
            self.at = None if rest[0] == "now" else figures.parsed_moment(rest[0])
            with self.database() as opened:
                opened.transaction(at=self.at, read_only=True).cancel()

    def _parsed_limit(self, text: str) -> int:
        most = fastness.Limits().page_entries_max
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise InvalidOption(f"{text!r} is no number from 1 to {most}")
        return int(text)

    def _help(self) -> None:
        every = [(one.name, one.arguments, one.purpose) for one in STATEMENTS.values()]
        every += [(name, how, purpose) for name, (how, purpose) in SETTINGS.items()]
        rows = [(f"{name} {how}".rstrip(), purpose) for name, how, purpose in every]
        self._output.table(("statement", "what it does"), rows)

    def close(self) -> None:
        """Release the directory."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
