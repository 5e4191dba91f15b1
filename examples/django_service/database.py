"""One database for each process, shared by its threads, opened at its first use.

A web server may load the service and then fork its workers (gunicorn's `--preload`). A forked
child must not use what it inherited, so it begins with nothing and opens its own.
"""

from __future__ import annotations

import atexit
import os
from threading import Lock

from django.conf import settings

import fastness
from examples.django_service.schema import SCHEMA
from fastness import Database


class _Opened:
    """What this process has opened."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.database: Database | None = None

    def forget(self) -> None:
        """In a forked child: nothing is open, and nobody holds the lock."""
        self.lock = Lock()
        self.database = None


_opened = _Opened()
os.register_at_fork(after_in_child=_opened.forget)


def database() -> Database:
    """The database of this process."""
    with _opened.lock:
        if _opened.database is None:
            _opened.database = fastness.open(settings.FASTNESS_URL, schema=SCHEMA)
        return _opened.database


def close() -> None:
    """Close it, if it is open; the next use opens it again."""
    with _opened.lock:
        if _opened.database is not None:
            _opened.database.close()
            _opened.database = None


atexit.register(close)
