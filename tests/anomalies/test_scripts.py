"""One golden script per isolation anomaly, on every store: none of them happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastness.runtime import ManualClock
from tests.anomalies.scripts import EXPECTATION, Player, Scenario, scenarios_of, scripts
from tests.hosting.gates import Gate
from tests.transactions.databases import ENGINES, driven, store_with_faults

ANOMALIES = (
    "causal_reversal",
    "dirty_read",
    "dirty_write",
    "fuzzy_read",
    "long_fork",
    "lost_update",
    "phantom",
    "read_skew",
    "write_skew",
)


def replayed(scenario: Scenario, engine: str, directory: Path) -> list[str]:
    """What comes of a scenario on an empty database of an engine."""
    gate = Gate()
    with driven(store_with_faults(engine, directory, gate), ManualClock()) as database:
        return Player(database, gate).replay(scenario)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("script", scripts(), ids=lambda script: script.stem)
def test_script(script: Path, engine: str, tmp_path: Path) -> None:
    """Every step answers what the script says, to the letter."""
    for number, scenario in enumerate(scenarios_of(script.read_text())):
        directory = tmp_path / str(number)
        directory.mkdir()
        assert replayed(scenario, engine, directory) == scenario.lines, scenario.title


def test_every_anomaly_has_its_script() -> None:
    """No anomaly of the list is left out, and each script has scenarios with expectations."""
    assert [script.stem for script in scripts()] == list(ANOMALIES)
    for script in scripts():
        scenarios = scenarios_of(script.read_text())
        assert len(scenarios) >= 2
        assert all(any(map(EXPECTATION.search, scenario.lines)) for scenario in scenarios)


@pytest.mark.parametrize("script", scripts(), ids=lambda script: script.stem)
def test_a_wrong_expectation_is_caught(script: Path, tmp_path: Path) -> None:
    """Whichever expectation of a script is falsified, that line, and no other, differs."""
    for scenario in scenarios_of(script.read_text()):
        played = replayed(scenario, "memory", tmp_path)
        for at, line in enumerate(scenario.lines):
            if EXPECTATION.search(line):
                falsified = EXPECTATION.sub(lambda found: found[0] + "!", line)
                wrong = [*scenario.lines[:at], falsified, *scenario.lines[at + 1 :]]
                differing = [
                    n
                    for n, pair in enumerate(zip(played, wrong, strict=True))
                    if pair[0] != pair[1]
                ]
                assert differing == [at]


def test_an_unknown_step_is_refused(tmp_path: Path) -> None:
    """A misspelt step is an error, never a step that silently does nothing."""
    with pytest.raises(ValueError, match="no such step: 'gte x'"):
        replayed(Scenario("misspelt", ["T1 begin", "T1 gte x -> 1"]), "memory", tmp_path)
