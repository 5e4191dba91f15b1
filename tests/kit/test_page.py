"""The examples of docs/TESTING.md for users' own tests run as they stand, on each engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# The runs of pytest inside this process find it loaded.
import fastness.testing.kit

pytest_plugins = ["pytester"]

PAGE = Path("docs/TESTING.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# (test_\w+)\.py\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.process
@pytest.mark.parametrize("engine", ["memory", "file", "server"])
def test_the_examples_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """Every file of the page passes; a test that moves the clock is skipped at a server."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert len(EXAMPLES) == 5
    pytester.makepyfile(**EXAMPLES)
    result = pytester.runpytest_inprocess(
        "-p", "fastness.pytest_plugin", "-W", "error", "--fastness-engine", engine
    )
    skipped = int(engine == "server")
    result.assert_outcomes(passed=6 - skipped, skipped=skipped)


def test_the_page_names_every_call_of_a_plan() -> None:
    """What can be planned is in the table."""
    calls = {
        name
        for name, what in vars(fastness.testing.kit.Faults).items()
        if not name.startswith("_") and "times" in getattr(what, "__annotations__", {})
    }
    assert len(calls) == 9
    assert [name for name in sorted(calls) if f"`{name}(" not in PAGE] == []
