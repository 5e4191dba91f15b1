"""The entry of the console script: signals first, then the command."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

from fastness.cli import exits
from fastness.cli.app import app


def main() -> None:
    """Run the command line of this process, and end it with the command's exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    # What the engine logs of a failure reaches the user as the command's one line of error.
    logging.getLogger("fastness").addHandler(logging.NullHandler())
    # A text that is no UTF-8 (a file name in a key) is printed as it came.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # text streams
    app(prog_name="fastness")


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """End as an exception does, so that directories half made are removed."""
    sys.exit(exits.TERMINATED)
