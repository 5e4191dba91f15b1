"""Planting each bug in turn, to see how many seeds it takes until a checker notices.

    python -m fastness.testing.simulation.bugs [--seeds N] [--jobs J] [NAME ...]

Prints a line for each bug, and exits with 1 if one was not noticed. A seed that already fails
without any bug is an error: it could not tell anything.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from functools import partial
from typing import NamedTuple

from fastness.testing.simulation.bugs import BUGS
from fastness.testing.simulation.scenario import Scenario
from fastness.testing.simulation.simulate import run_seed

SEEDS = 200
"""Every bug is noticed within so many seeds, counted from 1."""


class Caught(NamedTuple):
    """By which seed a bug was noticed, and by what; 0 if by none."""

    bug: str
    seed: int
    finding: str


def hunt(bug: str, seeds: int = SEEDS) -> Caught:
    """Run seeds with a bug planted until something notices.

    A run that ends in an error counts too: what the bug led to was not borne in silence.
    """
    for seed in range(1, seeds + 1):
        scenario = Scenario.draw(seed, plant=bug)
        try:
            report = run_seed(scenario)
        except Exception as error:  # noqa: BLE001 - any end of the run but a clean one
            return Caught(bug, seed, f"{type(error).__name__}: {error}")
        if not report.ok:
            first = report.findings[0]
            return Caught(bug, seed, f"{first.name}: {first.explanation}")
    return Caught(bug, 0, f"not noticed in {seeds} seeds")


def main(arguments: list[str] | None = None) -> int:
    """The command; how many bugs went unnoticed decides the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fastness.testing.simulation.bugs",
        description="Plant bugs and see them noticed.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a bug; without, all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds at most")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (all cores)"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BUGS]
    if unknown:
        parser.error(f"no bug is called {unknown[0]!r}: choose from {', '.join(sorted(BUGS))}")
    if options.seeds < 1 or options.jobs < 1:
        parser.error("--seeds and --jobs begin at 1")
    names = options.names or list(BUGS)
    missed = 0
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.jobs) as pool:
        for caught in pool.imap(partial(hunt, seeds=options.seeds), names):
            missed += caught.seed == 0
            where = f"seed {caught.seed}" if caught.seed else "MISSED"
            sys.stdout.write(f"{caught.bug:40} {where:9} {caught.finding.splitlines()[0][:100]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(names) - missed} of {len(names)} bugs noticed\n")
    return 1 if missed else 0
