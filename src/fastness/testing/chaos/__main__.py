"""Chaos from the command line: `python -m fastness.testing.chaos --help`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import SystemRandom
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from fastness.errors import FastnessError, InvalidOption
from fastness.laptop.plan import Size
from fastness.testing.chaos.faults import FAULTS
from fastness.testing.chaos.plants import PLANTS
from fastness.testing.chaos.report import print_report
from fastness.testing.chaos.run import PATIENCE_S, Settings, run
from fastness.testing.chaos.schedule import chosen

DEFAULT_FOLDER = Path("chaos-data")
PLANTED_PATIENCE_S = 60.0
"""What is planted may keep ranges from ever coming back: that is seen soon."""
PASSED, FOUND, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes; the last one is what shells expect after Ctrl-C."""


def chaos(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, help="how long faults strike")] = 30.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help=f"only these; of {', '.join(FAULTS)}"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="the blows, in which order")] = None,
    plant: Annotated[
        str,
        typer.Option(
            metavar="WEAKNESS",
            help=f"plant one that must be noticed: {', '.join(PLANTS)}",
            show_default=False,
        ),
    ] = "",
    standbys: Annotated[int, typer.Option(min=1, max=2, help="of each PostgreSQL")] = 2,
    folder: Annotated[
        Path, typer.Option(help="where the cluster goes: a new folder, removed afterwards")
    ] = DEFAULT_FOLDER,
    keep: Annotated[bool, typer.Option("--keep", help="leave the folder for a look")] = False,
    report: Annotated[
        Path | None, typer.Option(help="where to write the report as JSON", show_default=False)
    ] = None,
) -> None:
    """Hurt a real cluster on this machine, and judge what its clients saw."""
    console = Console()
    if folder.exists():
        console.print(Text(f"{folder} exists: name a new --folder, or remove it", style="bold red"))
        raise typer.Exit(REFUSED)
    try:
        kinds = chosen([one for words in fault or [] for one in words.split(",")], list(FAULTS))
        if plant and plant not in PLANTS:
            raise InvalidOption(f"no weakness is called {plant!r}: choose from {', '.join(PLANTS)}")
        settings = Settings(
            seed=SystemRandom().getrandbits(32) if seed is None else seed,
            seconds=minutes * 60,
            kinds=kinds,
            plant=plant,
            patience_s=PLANTED_PATIENCE_S if plant else PATIENCE_S,
            size=Size(nodes=3, stores=2, standbys=standbys),
        )
        results = run(folder, settings, lambda text: console.print(Text(text, style="dim")))
    except KeyboardInterrupt:
        console.print("\n[bold]Interrupted.[/] Everything was stopped")
        raise typer.Exit(INTERRUPTED) from None
    except FastnessError as error:
        console.print(Text(f"The run failed: {error}", style="bold red"))
        raise typer.Exit(REFUSED) from None
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if report is not None:
        report.write_text(json.dumps(results.as_document(), indent=2) + "\n", encoding="utf-8")
    print_report(console, results)
    raise typer.Exit(PASSED if results.ok else FOUND)


if __name__ == "__main__":
    typer.run(chaos)
