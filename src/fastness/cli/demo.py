"""The command `demo`: runs the files example of the checkout this was installed from.

The example is not part of the package: it is code to read and to copy. So it is looked for
beside the package's sources and in the current directory.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import fastness
from fastness.cli.arguments import JsonOption
from fastness.cli.output import answering
from fastness.errors import InvalidOption

EXAMPLE = Path("examples/files/demo")


def demo(  # noqa: PLR0913 - one for each thing that a run can have more or less of
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The directory tree to load.")
    ] = Path("/usr"),
    *,
    directory: Annotated[
        Path,
        typer.Option(help="Where the database goes: a new directory, or an earlier demo's."),
    ] = Path("demo-data"),
    entries_max: Annotated[
        int, typer.Option(min=1, help="Load about so many entries at most.")
    ] = 150_000,
    operations: Annotated[int, typer.Option(min=0, help="What the workers do in all.")] = 40_000,
    workers: Annotated[int, typer.Option(min=1, max=1_000, help="How many there are.")] = 64,
    kills: Annotated[int, typer.Option(min=0, help="How often a loading process is killed.")] = 5,
    clients: Annotated[
        int,
        typer.Option(min=0, max=64, help="Processes that share a server; 0: no server is started."),
    ] = 4,
    seed: Annotated[
        int | None, typer.Option(help="Repeats the workers' choices.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Load a directory tree into the files example, contend, serve, kill, and prove it right.

    A server is started on free ports of this machine for a while. Needs a checkout of Fastness,
    where the example is. With --json the story goes to stderr.
    """
    found: dict[str, object] = {}
    with answering(json) as output:
        _find_examples()
        example = importlib.import_module("examples.files.demo")
        code = example.main(
            path,
            directory,
            entries_max=entries_max,
            operations=operations,
            workers=workers,
            kills=kills,
            clients=clients,
            seed=seed,
            console=Console(stderr=json),
            told=found.update,
        )
        if json:
            output.document({"passed": code == 0, "directory": str(directory), **found})
    raise typer.Exit(code)


def _find_examples() -> None:
    """Make `examples` importable; `InvalidOption` says where it is to be had."""
    installed = Path(fastness.__file__).resolve().parents[2]
    for checkout in (installed, Path.cwd()):
        if (checkout / EXAMPLE).is_dir():
            sys.path.insert(0, str(checkout))
            return
    raise InvalidOption(
        f"the demo is in {EXAMPLE} of a checkout of Fastness, which is neither {installed} nor "
        "the current directory: clone the repository and run 'make demo' there"
    )
