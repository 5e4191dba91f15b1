"""Writes docs/CLI.md from the command itself: `python -m tools.cli_reference`.

A test holds the page against what this would write, so the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from fastness.cli import app, exits, notation

PAGE = Path(__file__).resolve().parents[1] / "docs" / "CLI.md"
WIDTH = 90

_PROLOGUE = """\
# The command line

This page is written by `python -m tools.cli_reference`; a test fails when it is out of date.

```
fastness set ./data greeting hello          # creates the database
fastness get ./data greeting
fastness scan ./data --prefix '("users",)'
fastness shell ./data                       # keys and typed records, with completion
fastness backup ./data ./monday             # also while an application has it open
fastness check ./monday
fastness serve ./data                       # to many processes, until Ctrl-C
fastness token create billing --tokens tokens.json
fastness config check fastness.toml
```

**Which database.** A directory (`./data`, or `file:./data` as in Python), `memory:`, or one behind
a server: `fastness://HOST:PORT` or `fastness+unix:///PATH`, with the token in `FASTNESS_TOKEN`.
`get`, `set`, `delete`, `scan`, `shell` and `stat` go through a server; `check`, `export` and
`backup` look at the directory itself, on the server's machine and beside the server.

**Beside an application.** `get`, `scan`, `stat`, `check`, `export`, `backup` and the shell's reads
work while another process holds the directory: they see what it had committed when they
began. Writes need the directory to themselves; beside a holder they end with code 3 and say
which process it is.

**For programs.** Every command takes `--json`: one document on stdout (`scan` and `shell`: one per
line), nothing else there; an error is one line of JSON on stderr with `error` (the stable code
of `fastness.errors`), `message`, `retryable`, `maybe_committed` and `exit`. Timestamps are
texts in it, since many parsers round numbers this large. Without `--json`, output that is
piped is plain: one item per line, fields parted by tabs. Progress bars appear on a terminal
only, after a second.

"""

_SHELL = """\
Statements, one per line; a line that begins with `#` is a comment. KIND is a kind of records
that the database holds (`kinds` lists them), KEY and VALUE after it are the columns of its key
or index: text fields plain (`ann`, or `"ann lee"`), others as their type is (`42`, `true`,
`2026-05-01T12:00:00Z`, a UUID, bytes as keys are written), `null` for an absent value.

"""


def page() -> str:
    """The whole text of docs/CLI.md."""
    parts = [_PROLOGUE, "## Keys and values\n\n", _fenced(_table(notation.__doc__ or ""))]
    parts += ["## Exit codes\n\n", _fenced(_table(exits.__doc__ or ""))]
    parts += ["## fastness\n\n", _fenced(_help())]
    for name in command_names():
        parts += [f"## fastness {name}\n\n", _fenced(_help(*name.split()))]
        if name == "shell":
            parts += [_SHELL, _fenced(_printed("shell", "memory:", "-e", "help").expandtabs(34))]
    return "".join(parts).rstrip("\n") + "\n"


def command_names() -> list[str]:
    """Every command, in the order of the help; those of a group with its name before."""
    return list(_names(get_command(app), ""))


def _names(group: object, prefix: str) -> Iterator[str]:
    for name, command in vars(group)["commands"].items():
        if "commands" in vars(command):
            yield from _names(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def _table(text: str) -> str:
    """The lines between the rules of a table in a module's page."""
    first, last = text.index("===="), text.rindex("====")
    lines = text[first : last + 4].splitlines()
    return "\n".join(line for line in lines if not line.startswith("==="))


def _help(*words: str) -> str:
    return _printed(*words, "--help")


def _printed(*words: str) -> str:
    """What a command prints in this width, without colours."""
    plain = {"COLUMNS": str(WIDTH), "TERM": "dumb", "NO_COLOR": "1"}
    result = CliRunner().invoke(
        app, [*words], prog_name="fastness", env=plain, catch_exceptions=False
    )
    return "\n".join(line.rstrip() for line in result.stdout.strip("\n").splitlines()).strip()


def _fenced(text: str) -> str:
    return f"```\n{text}\n```\n\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
