"""Logs: events with named values, as one JSON object per line or as a line for a person.

::

    {"time": "2026-05-01T12:00:00.123Z", "level": "info", "logger": "fastness.server",
     "event": "listening", "address": "127.0.0.1:3278"}
    12:00:00.123 INFO    listening address=127.0.0.1:3278

The standard library's `logging` carries them, so an application that embeds parts of this sends
them where it sends its own. Whatever other modules log comes out in the same form.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

_FIELDS = "fastness_fields"
_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,:/#+@%[]()<>*"
)


def event(logger: logging.Logger, level: int, name: str, **fields: object) -> None:
    """Log that something happened, with what there is to know about it."""
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={_FIELDS: fields}, stacklevel=2)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The named values of an event, none for what others log."""
    fields: dict[str, object] = getattr(record, _FIELDS, {})
    return fields


class JsonFormatter(logging.Formatter):
    """One object per line. Times are UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class HumanFormatter(logging.Formatter):
    """The time of day, the level, the event, `name=value`. Times are local."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        moment = datetime.fromtimestamp(record.created, UTC).astimezone()
        words = [
            moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}",
            f"{record.levelname:<7}",
            record.getMessage(),
            *(f"{name}={_shown(value)}" for name, value in fields_of(record).items()),
        ]
        line = " ".join(words)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _shown(value: object) -> str:
    text = str(value)
    return text if text and _PLAIN.issuperset(text) else json.dumps(text, ensure_ascii=False)


class StandardError(logging.Handler):
    """Writes lines to standard error, flushed; a reader who went away stops nothing."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = sys.stderr if stream is None else stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            self._stream.write(self.format(record) + "\n")
            self._stream.flush()
        except OSError:
            # A full disk or a closed pipe must not end a server that serves.
            self.setLevel(logging.CRITICAL + 1)


@contextmanager
def logging_to_stderr(form: str, level: str) -> Iterator[None]:
    """Send what is logged to standard error; `form` is `human`, `json` or `auto`."""
    human = form == "human" or (form == "auto" and sys.stderr.isatty())
    handler = StandardError()
    handler.setFormatter(HumanFormatter() if human else JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    set_level(level)
    try:
        yield
    finally:
        root.removeHandler(handler)


def set_level(level: str) -> None:
    """Log from this level on: this package's own as asked, other libraries' warnings."""
    logging.getLogger("fastness").setLevel(level.upper())
