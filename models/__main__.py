"""`python -m models [NAME ...]`: search every model; with names of models, only those, in full.

Exits 1 if a promise is broken, or if a rule can be left out without breaking one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.checker import Model

NO_MODEL = {"__init__", "__main__", "checker", "range_world"}


def names() -> list[str]:
    """Every model of this folder."""
    return sorted(
        path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_MODEL
    )


def load(name: str) -> Model[Any]:
    """The model of one module."""
    model: Model[Any] = importlib.import_module(f"models.{name}").MODEL
    return model


def main(arguments: list[str], show: Callable[[str], object] = print) -> int:
    """Tell about the models named, or in one line about each of all; the exit code."""
    unknown = [name for name in arguments if name not in names()]
    if unknown:
        show(f"no model {unknown[0]}; there are: {', '.join(names())}")
        return 2
    right = True
    for name in arguments:
        show(f"== {name}")
        right = load(name).tell(show) and right
    for name in () if arguments else names():
        model = load(name)
        as_expected = model.tell(lambda _line: None)
        states = sum(scenario.search().states for scenario in model.scenarios)
        verdict = "holds, and needs" if as_expected else "IS BROKEN, or does not need"
        show(f"{name}: {verdict} each of {len(model.rules)} rules ({states} states)")
        right = right and as_expected
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
