"""docs/CLI.md is what the command says of itself, and every command keeps the house's promises."""

from __future__ import annotations

import pytest

from tests.cli.commands import run
from tools.cli_reference import PAGE, command_names, page


def test_the_page_is_current() -> None:
    """The reference was written from the command as it is now."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.cli_reference"


@pytest.mark.parametrize("name", command_names())
def test_every_command(name: str) -> None:
    """Each command explains itself, takes -h, and answers in JSON on demand."""
    told = run(*name.split(), "--help")
    assert told.exit_code == 0
    assert "--json" in told.stdout
    assert run(*name.split(), "-h").stdout == told.stdout


def test_no_arguments() -> None:
    """The bare command shows its help."""
    assert run().output.strip() == run("--help").stdout.strip()


def test_help_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line of help is wider than the terminal."""
    for width in (60, 80, 120):
        monkeypatch.setattr("tools.cli_reference.WIDTH", width)
        helps = page().split("## fastness\n", 1)[1]
        boxes = [line for line in helps.splitlines() if line.startswith(("╭", "│", "╰"))]
        assert boxes
        assert max(map(len, boxes)) <= width
