"""The demo of a cluster from the command line: `python -m examples.files.cluster --help`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from examples.files.cluster.run import DEFAULT_FOLDER, DEFAULT_PATH, main


def demo(
    *,
    path: Annotated[Path, typer.Option(help="the directory tree to load")] = DEFAULT_PATH,
    folder: Annotated[
        Path, typer.Option(help="where the cluster goes: a new folder, removed afterwards")
    ] = DEFAULT_FOLDER,
    entries_max: Annotated[int, typer.Option(min=1, help="load about so many, twice")] = 2_000,
    operations: Annotated[int, typer.Option(min=0, help="what the clients do in all")] = 3_000,
    standbys: Annotated[int, typer.Option(min=1, max=2, help="standbys of each PostgreSQL")] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="leave the folder for a look")] = False,
    seed: Annotated[int | None, typer.Option(help="repeats the clients' choices")] = None,
) -> None:
    """Load a directory tree into a real cluster, kill members of it, and prove it right."""
    code = main(
        path,
        folder,
        entries_max=entries_max,
        operations=operations,
        standbys=standbys,
        keep=keep,
        seed=seed,
    )
    raise typer.Exit(code)


if __name__ == "__main__":
    typer.run(demo)
