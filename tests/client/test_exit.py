"""A process that ends without closing its databases ends cleanly all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fastness
from tests.client.servers import RunningServer

FORGETFUL = """
import sys
import fastness

db = fastness.open("file:" + sys.argv[1])
db.set(b"key", b"value")
"""


def test_a_forgotten_close_neither_aborts_nor_loses_anything(tmp_path: Path) -> None:
    """Exit without close: status 0, nothing on stderr, the directory free, the commit there."""
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", FORGETFUL, str(tmp_path / "db")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
    with fastness.open(f"file:{tmp_path / 'db'}") as db:
        assert db.get(b"key") == b"value"


DISTANT = """
import sys
import fastness

db = fastness.open(sys.argv[1] + "?cache=on")
db.set(b"key", b"value")
db.get(b"key")
watch = db.watch(b"key")
"""


def test_a_forgotten_close_of_a_distant_one_is_as_clean() -> None:
    """Exit with a connection, a cache and a watch: status 0, nothing on stderr."""
    with RunningServer() as server:
        ended = subprocess.run(
            [sys.executable, "-c", DISTANT, server.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        with fastness.open(server.url) as db:
            assert db.get(b"key") == b"value"
