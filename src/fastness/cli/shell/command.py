"""The command `shell`: a prompt on a terminal, a script everywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.shortcuts import CompleteStyle

from fastness.cli.arguments import DatabaseArgument, JsonOption
from fastness.cli.output import Output, answering
from fastness.cli.shell.completion import ShellCompleter
from fastness.cli.shell.session import Session
from fastness.errors import FastnessError

HISTORY = "fastness/shell-history"


def shell(
    database: DatabaseArgument,
    *,
    execute: Annotated[
        list[str] | None,
        typer.Option(
            "--execute", "-e", metavar="STATEMENT", help="Run this, then leave; may be repeated."
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Only look; the directory stays free for others.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Read and write keys and records, typed in or piped in. 'help' lists the statements.

    At a terminal there is a history and Tab completes statements, kinds and keys. From a pipe
    or with -e the statements are a script, which ends at the first error. Beside a process that
    holds the directory the shell only reads.
    """
    with answering(json) as output, Session(database, output, read_only=read_only) as session:
        if execute:
            _run_script(session, execute)
        elif sys.stdin.isatty() and sys.stdout.isatty():
            converse(session, output)
        else:
            _run_script(session, sys.stdin)


def _run_script(session: Session, lines: Iterable[str]) -> None:
    """Run lines until one fails; the error names it."""
    for number, line in enumerate(lines, start=1):
        try:
            if not session.run(line):
                return
        except FastnessError as error:
            error.args = (f"line {number}: {error}",)
            raise


def converse(session: Session, output: Output) -> None:
    """Prompt, run, print, until Ctrl-D. Ctrl-C abandons a line or a statement, not the session."""
    if session.is_read_only:
        output.remark(f"reading only: {session.why_read_only}", "yellow")
    prompt: PromptSession[str] = PromptSession(
        history=_history(),
        completer=ShellCompleter(session),
        complete_style=CompleteStyle.READLINE_LIKE,
    )
    while True:
        try:
            line = prompt.prompt(_prompt_text(session))
            if not session.run(line):
                return
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        except FastnessError as error:
            output.failure(error)


def _prompt_text(session: Session) -> str:
    name = session.url.removeprefix("file:")
    state = " (past)" if session.at is not None else " (read only)" if session.is_read_only else ""
    return f"{name}{state}> "


def _history() -> History:
    """The lines of earlier sessions, kept for this user alone; in memory where none can be."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(base) / HISTORY
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
