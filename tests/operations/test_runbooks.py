"""docs/OPERATIONS.md names commands, options and functions that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fastness import errors, operations
from tests.cli.commands import run
from tools.cli_reference import command_names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "OPERATIONS.md"
TEXT = PAGE.read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every command line of the page's blocks, in its order, once."""
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    parts = [
        part.strip() for block in blocks for line in block.splitlines() for part in line.split("|")
    ]
    return list(dict.fromkeys(part for part in parts if part.startswith("fastness ")))


@pytest.mark.parametrize("line", commands())
def test_commands_exist(line: str) -> None:
    """A command line of the page has a command and options that there are."""
    _fastness, *words = shlex.split(line, comments=True)
    # A group and its command, or a command.
    name = next(name for name in (words[:2], words[:1]) if " ".join(name) in command_names())
    told, rest = run(*name, "--help").stdout, words[len(name) :]
    for option in (word for word in rest if word.startswith("--")):
        assert option in told


def test_functions_exist() -> None:
    """So do the functions it calls."""
    for name in re.findall(r"operations\.(\w+)", TEXT):
        assert hasattr(operations, name), name


def test_codes_exist() -> None:
    """The codes in its table of contents are those of errors."""
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and hasattr(kind, "code")
    }
    table = TEXT.split("## What is in the directory")[0]
    found = set(re.findall(r"`(\w+_\w+)`", table))
    assert found
    assert found <= codes


def test_every_section_is_listed() -> None:
    """The tables at the top, and at the top of what is about clusters, lead to every runbook."""
    listed = set(re.findall(r"\| \[(.+?)\]\(#", TEXT))
    sections = set(re.findall(r"^## (.+)$", TEXT, flags=re.MULTILINE))
    assert sections - listed == {"What is in the directory"}
    _embedded, cluster = TEXT.split("## A cluster\n")
    assert set(re.findall(r"^### (.+)$", cluster, flags=re.MULTILINE)) <= listed
