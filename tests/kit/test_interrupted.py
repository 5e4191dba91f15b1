"""A run of tests that is interrupted ends its server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastness.testing.kit.serving import environment

SUITE = """
import os
import signal

def test_waits(fastness_db, fastness_server):
    fastness_db.set(b"k", b"v")
    os.write(int(os.environ["REPORT"]), b"%d" % fastness_server.pid)
    signal.pause()
"""
PATIENCE_SECONDS = 90.0


@pytest.mark.process
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_the_server(tmp_path: Path, times: int) -> None:
    """Pressed once or twice, it leaves no server process behind."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    reading, writing = os.pipe()
    line = [sys.executable, "-m", "pytest", "-p", "fastness.pytest_plugin", "test_suite.py"]
    extra = {"REPORT": str(writing), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with subprocess.Popen(
        [*line, "--fastness-engine=server"],
        cwd=tmp_path,
        env=environment(extra),
        pass_fds=[writing],
        stdout=subprocess.PIPE,
        # A second one may meet pytest where it handles the first; Python tells of that one here.
        stderr=subprocess.STDOUT,
    ) as tests:
        try:
            os.close(writing)
            with os.fdopen(reading, "rb") as report:
                server = int(os.read(report.fileno(), 32))
            for _ in range(times):
                tests.send_signal(signal.SIGINT)
            told, _ = tests.communicate(timeout=PATIENCE_SECONDS)
        finally:
            tests.kill()
    assert b"KeyboardInterrupt" in told
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
