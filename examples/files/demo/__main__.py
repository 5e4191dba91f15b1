"""The demo from the command line: `python -m examples.files.demo --help`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from examples.files.demo.run import DEFAULT_DIRECTORY, DEFAULT_PATH, main


def demo(  # noqa: PLR0917 - options of a command, given by name
    path: Annotated[Path, typer.Option(help="the directory tree to load")] = DEFAULT_PATH,
    directory: Annotated[
        Path, typer.Option(help="where the database goes; must be empty or an earlier demo's")
    ] = DEFAULT_DIRECTORY,
    entries_max: Annotated[int, typer.Option(min=1, help="load about so many entries")] = 150_000,
    operations: Annotated[int, typer.Option(min=0, help="what the workers do in all")] = 40_000,
    workers: Annotated[int, typer.Option(min=1, max=1000, help="how many there are")] = 64,
    kills: Annotated[int, typer.Option(min=0, help="how often a loading process is killed")] = 5,
    clients: Annotated[int, typer.Option(min=0, max=64, help="processes behind a server")] = 4,
    seed: Annotated[int | None, typer.Option(help="repeats the workers' choices")] = None,
) -> None:
    """Load a directory tree into the files example, and prove it right."""
    code = main(
        path,
        directory,
        entries_max=entries_max,
        operations=operations,
        workers=workers,
        kills=kills,
        clients=clients,
        seed=seed,
    )
    raise typer.Exit(code)


typer.run(demo)
