"""Files that hold passwords: for their owner alone, whole or not there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    """Put `text` there, readable by its owner alone, in the place of what was there."""
    beside = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        beside.unlink()
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - the mode
        file.write(text)
    beside.replace(path)
