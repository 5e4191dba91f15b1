"""What a command prints: answers on stdout, everything said about them on stderr.

With `--json` the answer is one JSON document (`scan`: one per line), and an error is one JSON
line on stderr. Without it, tables and colours appear on a terminal only: piped output is plain,
one item per line, fields parted by tabs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastness.cli import exits
from fastness.errors import FastnessError
from fastness.storage.failures import from_os_error

Document = Mapping[str, object]


class Output:
    """Where one command's words go."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.answers = Console(highlight=False, emoji=False)
        self.remarks = Console(stderr=True, highlight=False, emoji=False)

    @property
    def on_terminal(self) -> bool:
        """Whether a person reads the answers as they come."""
        return self.answers.is_terminal and not self.as_json

    def document(self, document: Document) -> None:
        """The answer for a program."""
        encoded = msgspec.json.encode(document)
        if self.answers.is_terminal:
            encoded = msgspec.json.format(encoded, indent=2)
        self.write(encoded.decode() + "\n")

    def line(self, document: object) -> None:
        """One of several answers for a program."""
        self.write(msgspec.json.encode(document).decode() + "\n")

    def aside(self, document: Document) -> None:
        """Something about the answer, for a program: one line on stderr."""
        sys.stderr.write(msgspec.json.encode(document).decode() + "\n")

    def write(self, text: str) -> None:
        """Text as it is."""
        sys.stdout.write(text)

    def text(self, text: str | Text) -> None:
        """A line for a person; as it is where it is piped."""
        if self.on_terminal:
            self.answers.print(Text(text) if isinstance(text, str) else text, soft_wrap=True)
        else:
            self.write(f"{text}\n")

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Names and values, the values in one column."""
        if not self.on_terminal:
            for name, value in facts:
                self.write(f"{name}\t{value}\n")
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in facts:
            table.add_row(name, Text(value))
        self.answers.print(table)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Rows under headings. A heading that begins with '>' has its column to the right."""
        names = [column.removeprefix(">") for column in columns]
        if not self.on_terminal:
            for row in (names, *rows):
                self.write("\t".join(row) + "\n")
            return
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
        for column, name in zip(columns, names, strict=True):
            right = column.startswith(">")
            table.add_column(name, justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        self.answers.print(table)

    def remark(self, text: str, style: str = "dim") -> None:
        """Something about the answer, for a person; programs are spared it."""
        if not self.as_json:
            self.remarks.print(Text(text, style=style), soft_wrap=True)

    def failure(self, error: FastnessError) -> None:
        """One clear line: code, message, next step (the messages end with it)."""
        if self.as_json:
            self.aside(
                {
                    "error": error.code,
                    "message": str(error),
                    "retryable": error.retryable,
                    "maybe_committed": error.maybe_committed,
                    "exit": exits.exit_code(error),
                }
            )
            return
        line = Text.assemble((f"{error.code}: ", "bold red"), " ".join(str(error).split()))
        self.remarks.print(line, soft_wrap=True)


@contextmanager
def answering(
    as_json: bool, *, interrupted: str = "interrupted: what was committed before is durable"
) -> Iterator[Output]:
    """The body of every command: its errors become one line and an exit code.

    `interrupted` is said after Ctrl-C. Anything that is not a `FastnessError` is a fault of this
    program, and shows its traceback.
    """
    output = Output(as_json=as_json)
    try:
        yield output
        sys.stdout.flush()
    except FastnessError as error:
        output.failure(error)
        raise typer.Exit(exits.exit_code(error)) from None
    except KeyboardInterrupt:
        output.remark(interrupted, "yellow")
        raise typer.Exit(exits.INTERRUPTED) from None
    except BrokenPipeError:
        _forget_stdout()
        raise typer.Exit(exits.BROKEN_PIPE) from None
    except OSError as error:
        failure = from_os_error(error, "writing the answer")
        output.failure(failure)
        raise typer.Exit(exits.exit_code(failure)) from None


def _forget_stdout() -> None:
    """Let what is still buffered for the reader who went away vanish quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
