"""What the tests of the command start from."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastness
from tests.operations.records import hire


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The directory of a database with a few keys and typed records, closed."""
    directory = tmp_path / "data"
    with fastness.open(f"file:{directory}") as database:
        hire(database, 10)
        database.set(b"greeting", b"hello")
        database.set(fastness.pack(("users", 42)), b'{"name": "Ann"}')
        database.set(b"lines", b"one\ntwo")
        database.set(b"binary", b"\x00\xff")
    return directory
