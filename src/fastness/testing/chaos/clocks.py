"""Wall clocks that jump: libfaketime between a node and its system, told by a file how far off.

Only the wall clock jumps: leases are counted by clocks that do not (CONSISTENCY.md, 5.4). The file
is looked at once a second. Needs `libfaketime` (Debian: faketime).
"""

from __future__ import annotations

import shutil
from pathlib import Path

LIBRARIES = "lib/*/faketime/libfaketime.so.1"
ROOTS = (Path("/usr"), Path("/usr/local"))


def library() -> Path | None:
    """Where it is, `None` if it is nowhere."""
    return next((path for root in ROOTS for path in root.glob(LIBRARIES)), None)


def missing() -> str:
    """Why no clock can jump here; empty if one can."""
    return "" if library() is not None else "not installed: libfaketime (faketime)"


class Clocks:
    """One file for each node, in a folder."""

    def __init__(self, folder: Path, preloaded: Path) -> None:
        self._folder = folder
        self._library = preloaded
        self._folder.mkdir(parents=True, exist_ok=True)

    def prefix_of(self, node: str) -> tuple[str, ...]:
        """What to put before a node's command."""
        self.jump(node, 0)
        return (
            "env",
            f"LD_PRELOAD={self._library}",
            f"FAKETIME_TIMESTAMP_FILE={self._file(node)}",
            "FAKETIME_CACHE_DURATION=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        )

    def jump(self, node: str, seconds: int) -> None:
        """Let a node's wall clock be so far off from now on; 0 sets it right."""
        new = self._file(node).with_suffix(".new")
        new.write_text(f"{seconds:+d}\n", encoding="utf-8")
        new.replace(self._file(node))

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, node: str) -> Path:
        return (self._folder / f"{node}.clock").resolve()
