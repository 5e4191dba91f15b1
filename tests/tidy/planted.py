"""Violations to plant: texts that the checks must catch, written so that this file is tidy."""

from __future__ import annotations

from pathlib import PurePosixPath
from textwrap import dedent

from tools.tidy.finding import Module

LAYER = "src/fastness/storage/cells.py"
TEST = "tests/storage/test_cells.py"


def planted(text: str) -> str:
    """`text` without its tildes, which keep a banned word from standing here in full."""
    return text.replace("~", "")


def module(code: str, path: str = LAYER) -> Module:
    """The module that `code`, indented as the caller likes, would be at `path`."""
    return Module.parse(PurePosixPath(path), planted(dedent(code)))
