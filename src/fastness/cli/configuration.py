"""The commands `config check` and `config show`: settings of a server, before it is started."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from fastness.cli import exits
from fastness.cli.arguments import JsonOption
from fastness.cli.output import Output, answering
from fastness.server.settings import SETTINGS
from fastness.server.sources import Configuration, InvalidConfiguration, load

HIDDEN = "(hidden)"

app = typer.Typer(no_args_is_help=True, help="Settings of a server: check a file, show what holds.")


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A TOML file of settings.", show_default=False)
    ],
    *,
    json: JsonOption = False,
) -> None:
    """Say what is wrong with a file of settings. Exits with 2 if anything is.

    Each error names the file and line, the setting, its value and what to do. The environment
    is left out: what counts is the file.
    """
    with answering(json) as output:
        problems: list[str] = []
        try:
            load(file, {}, {})
        except InvalidConfiguration as error:
            problems = error.problems
        if json:
            output.document({"ok": not problems, "problems": problems})
        elif problems:
            for problem in problems:
                output.text(problem)
        else:
            output.text(f"ok: {file}")
        if problems:
            raise typer.Exit(exits.USAGE)


@app.command()
def show(
    *,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A TOML file of settings.", show_default=False),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what is not the default.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show every setting that 'serve' would use here, and where each comes from.

    Secrets are not shown.
    """
    with answering(json) as output:
        configuration = load(config, os.environ, {})
        for problem in configuration.unused:
            output.remark(problem, "yellow")
        rows = [row for row in _rows(configuration) if not changed or row["source"] != "default"]
        if json:
            output.document({str(row.pop("name")): row for row in rows})
        else:
            _print(output, rows)


def _rows(configuration: Configuration) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "value": HIDDEN if setting.is_secret and sourced.value else sourced.value,
            "source": sourced.source,
            "variable": setting.variable,
            "reloaded": setting.is_reloaded,
        }
        for name, setting in SETTINGS.items()
        for sourced in (configuration.sourced[name],)
    ]


def _print(output: Output, rows: list[dict[str, Any]]) -> None:
    output.table(
        ("setting", "value", "from"),
        ((row["name"], msgspec.json.encode(row["value"]).decode(), row["source"]) for row in rows),
    )
