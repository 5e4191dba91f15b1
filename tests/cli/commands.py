"""Running the command: in this process for most tests, as a real process where that matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import IO, Any

from typer.testing import CliRunner, Result

from fastness.cli import app

PLAIN = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
"""A terminal of known width and no colours, so that output is the same everywhere."""


def run(*words: object, stdin: str | bytes | None = None) -> Result:
    """Run the command in this process; a traceback in it is raised here."""
    return CliRunner().invoke(
        app, [str(word) for word in words], input=stdin, env=PLAIN, catch_exceptions=False
    )


def answer(*words: object, stdin: str | bytes | None = None) -> Any:  # noqa: ANN401 - JSON
    """Run a command with --json that must succeed; its one document."""
    result = run(*words, "--json", stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def failure(*words: object, stdin: str | bytes | None = None) -> dict[str, Any]:
    """Run a command with --json that must fail; what it says on stderr, with its exit code."""
    result = run(*words, "--json", stdin=stdin)
    told: dict[str, Any] = json.loads(result.stderr.splitlines()[-1])
    assert result.exit_code == told["exit"] != 0
    return told


def start(*words: object, stdout: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start the command as a process of its own, its streams piped."""
    return subprocess.Popen(
        [sys.executable, "-m", "fastness.cli", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **PLAIN, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
