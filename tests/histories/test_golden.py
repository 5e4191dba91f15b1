"""One golden script per anomaly: what a person reads when a history is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.histories.golden import FOLDER, SCRIPTS, judge


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_explanation_is_exactly_so(script: Path) -> None:
    """The checker gives exactly the answer written down."""
    written, given = judge(script)
    assert given == written


def test_every_script_finds_the_anomaly_of_its_name() -> None:
    """No script passes by finding nothing."""
    assert len(SCRIPTS) > 15
    for script in SCRIPTS:
        assert "no anomaly" not in judge(script)[1], script.name


def test_the_manual_shows_a_golden_explanation() -> None:
    """The explanation that docs/TESTING.md teaches reading with is one the checker gives."""
    manual = (FOLDER.parents[2] / "docs" / "TESTING.md").read_text(encoding="utf-8")
    shown = next(block for block in manual.split("```") if block.startswith("\nG-single"))
    assert any(shown.strip() in judge(script)[1] for script in SCRIPTS)
