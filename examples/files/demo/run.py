"""Runs the demo from beginning to end, whatever comes in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

from rich.console import Console
from rich.text import Text

import fastness
from examples.files.demo.checking import check_space
from examples.files.demo.killing import VictimFailed
from examples.files.demo.place import PlaceRefused, claim
from examples.files.demo.report import Results, document, print_next_steps, print_report
from examples.files.demo.server import ServerFailed
from examples.files.demo.serving import ClientFailed
from examples.files.demo.stages import LOADED, Demo, Options
from examples.files.schema import SCHEMA
from fastness.errors import FastnessError

DEFAULT_PATH = Path("/usr")
DEFAULT_DIRECTORY = Path("demo-data")

PASSED, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes; the last one is what shells expect after Ctrl-C."""


def main(  # noqa: PLR0913 - as the command, by keyword
    path: Path = DEFAULT_PATH,
    directory: Path = DEFAULT_DIRECTORY,
    *,
    entries_max: int = 150_000,
    operations: int = 40_000,
    workers: int = 64,
    kills: int = 5,
    clients: int = 4,
    seed: int | None = None,
    console: Console | None = None,
    told: Callable[[dict[str, object]], object] | None = None,
) -> int:
    """Run the demo over the tree at `path`, with its database in `directory`.

    Answers an exit code: 0 when every check passed, 1 when one failed, 2 when nothing was
    begun because an argument cannot be, 130 when it was interrupted. `seed` repeats the
    workload's choices, as far as threads allow; `told` hears of the results, as a document.
    """
    console = console or Console()
    try:
        _require_readable(path)
        database = claim(directory)
    except (PlaceRefused, OSError) as error:
        console.print(Text(f"{error}", style="bold red"))
        return REFUSED
    options = Options(
        path=path.resolve(),
        database=database,
        entries_max=entries_max,
        operations=operations,
        workers=workers,
        kills=kills,
        clients=clients,
        seed=SystemRandom().getrandbits(32) if seed is None else seed,
    )
    try:
        results = _run(options, console)
    except KeyboardInterrupt:
        return _after_interrupt(options, console)
    if results is None:
        return FAILED
    if told is not None:
        told(document(results))
    return FAILED if results.failures() else PASSED


def _require_readable(path: Path) -> None:
    """`OSError` unless `path` is a directory that can be listed."""
    for _entry in path.iterdir():
        return


def _run(options: Options, console: Console) -> Results | None:
    """What was found, `None` where it could not be carried out."""
    try:
        results = Demo(options, console).run()
    except (FastnessError, VictimFailed, ServerFailed, ClientFailed, OSError) as error:
        console.print(Text(f"The demo failed: {error}", style="bold red"))
        return None
    print_report(console, results, path=options.path, database=options.database)
    return results


def _after_interrupt(options: Options, console: Console) -> int:
    """Open what the interrupted demo left, as anybody could, and say what is in it."""
    console.print("\n[bold]Interrupted.[/] The database was closed. Opening it again to check it")
    try:
        with fastness.open(options.url, schema=SCHEMA) as db:
            checked = check_space(db, LOADED)
    except KeyboardInterrupt:
        return INTERRUPTED
    if checked.entries and checked.problems:
        for problem in checked.problems:
            console.print(Text(problem, style="red"))
        return FAILED
    console.print(
        f"It is usable: {checked.entries:,} entries are in it, and every check on them passes."
        if checked.entries
        else "It is usable, and empty: nothing had been loaded yet."
    )
    print_next_steps(console, options.database)
    return INTERRUPTED
