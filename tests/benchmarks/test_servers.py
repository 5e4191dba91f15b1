"""The peers of a benchmark: found, or missing with advice."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.servers import MISSING
from benchmarks.servers.redis import redis_server


def test_a_peer_that_is_nowhere_is_missing_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the PATH nor in a wheel: the text says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MISSING, match="install redis-server"):
        redis_server()


def test_what_is_on_the_path_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of the machine is preferred to a wheel's."""
    script = tmp_path / "redis-server"
    script.write_text(f"#!{shutil.which('sh')}\necho 'v=8.0.0'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_server() == script
