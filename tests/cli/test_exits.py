"""Exit codes: every error has one, and it says what a script may do."""

from __future__ import annotations

import pytest
import typer

from fastness import errors
from fastness.cli import exits
from fastness.cli.output import answering


def every_error() -> list[type[errors.FastnessError]]:
    """All classes of the taxonomy."""
    found = [errors.FastnessError]
    for kind in found:
        found += kind.__subclasses__()
    return found


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_code(kind: type[errors.FastnessError]) -> None:
    """What may be retried is 'not now', what may have committed has a code of its own."""
    code = exits.exit_code(kind("what happened"))
    assert code in range(2, 7)
    if kind.retryable:
        assert code == exits.NOT_NOW
    assert kind.maybe_committed == (code == exits.UNKNOWN_OUTCOME)
    if issubclass(kind, errors.UsageError):
        assert code == exits.USAGE


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """However long or broken over lines a message is, it is told on one line of stderr."""
    with pytest.raises(typer.Exit) as ended, answering(as_json=False):
        raise errors.Overloaded("word " * 100 + "\nsecond line")
    assert ended.value.exit_code == exits.NOT_NOW
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("overloaded: word word")
    assert told.err.count("\n") == 1


def test_markup_in_messages_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like markup or colour in a message is shown as it is."""
    with pytest.raises(typer.Exit), answering(as_json=False):
        raise errors.InvalidKey("[bold]key[/bold] :warning: [/]")
    assert capsys.readouterr().err == "invalid_key: [bold]key[/bold] :warning: [/]\n"


def test_faults_of_ours_are_not_hidden() -> None:
    """An exception that is none of the taxonomy keeps its traceback."""
    with pytest.raises(ZeroDivisionError), answering(as_json=False):
        _ = 1 // 0
