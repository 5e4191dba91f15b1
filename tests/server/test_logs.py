"""Log lines: an object for programs, a line for people, and what others log in the same form."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from fastness.server.logs import HumanFormatter, JsonFormatter, StandardError, event


class Logged:
    """A logger of its own, and the text it wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.handler = StandardError(self.stream)
        self.logger = logging.getLogger("tests.server.logs")
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self.handler)


@pytest.fixture
def logged() -> Iterator[Logged]:
    """A logger that writes to a text."""
    made = Logged()
    yield made
    made.logger.removeHandler(made.handler)


def test_lines_for_programs(logged: Logged) -> None:
    """One object per line, with the event's values beside its name."""
    logged.handler.setFormatter(JsonFormatter())
    event(logged.logger, logging.WARNING, "listening", address="127.0.0.1:1", key=b"\xff", many=3)
    event(logged.logger, logging.DEBUG, "not logged")
    line = json.loads(logged.stream.getvalue())
    moment = line.pop("time")
    assert moment.endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "tests.server.logs",
        "event": "listening",
        "address": "127.0.0.1:1",
        "key": "b'\\xff'",
        "many": 3,
    }


def test_lines_for_people(logged: Logged) -> None:
    """Values that would be misread are quoted."""
    logged.handler.setFormatter(HumanFormatter())
    event(logged.logger, logging.INFO, "started", directory="/data", command="a b", nothing="")
    line = logged.stream.getvalue()
    assert line.endswith('INFO    started directory=/data command="a b" nothing=""\n')


def test_what_others_log(logged: Logged) -> None:
    """A plain record, and one with a traceback, stay one object."""
    logged.handler.setFormatter(JsonFormatter())
    try:
        raise ValueError("no")  # noqa: TRY301 - a traceback is what is wanted
    except ValueError:
        logged.logger.exception("it %s", "broke")
    line = json.loads(logged.stream.getvalue())
    assert line["event"] == "it broke"
    assert "ValueError: no" in line["traceback"]


class _FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        """As a full disk does."""
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written(logged: Logged) -> None:
    """A server does not end because nobody takes its log."""
    logged.handler.setFormatter(JsonFormatter())
    broken = StandardError(_FullDisk())
    logged.logger.addHandler(broken)
    event(logged.logger, logging.INFO, "first")
    event(logged.logger, logging.INFO, "second")
    logged.logger.removeHandler(broken)
    assert len(logged.stream.getvalue().splitlines()) == 2
