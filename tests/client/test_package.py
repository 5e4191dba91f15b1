"""The package's own names: loaded at their first use, and there as if they always were."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastness


def test_every_name_is_there() -> None:
    """Those it exports, and the modules that are reached through it."""
    for name in fastness.__all__:
        assert getattr(fastness, name) is not None
        assert name in dir(fastness)
    assert fastness.limits.Limits is fastness.Limits
    assert fastness.errors.FastnessError is fastness.FastnessError
    assert fastness.model.Entity is not None


def test_a_name_that_is_none() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        getattr(fastness, "opne")  # noqa: B009 - mypy knows that it is none


def test_checkers_are_told_the_same_as_the_interpreter() -> None:
    """The imports that only they read are the table that it goes by."""
    (block,) = [
        node
        for node in ast.parse(Path(fastness.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If)
    ]
    told = {
        alias.name: getattr(sys.modules[node.module], alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module in sys.modules
        for alias in node.names
    }
    exported = {name for name in fastness.__all__ if not name.startswith("_")}
    assert told.keys() - {"limits", "model"} == exported
    assert all(getattr(fastness, name) is found for name, found in told.items())


def test_importing_it_loads_nothing_else() -> None:
    """So that whoever only has it installed does not wait for it; `open` loads what it takes."""
    code = """
import sys, fastness
print([name for name in sys.modules if name.startswith("fastness.")])
with fastness.open("memory:") as db:
    print(db)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert said.stdout == "[]\n<Database memory:>\n"
