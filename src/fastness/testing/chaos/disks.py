"""Small disks: the servers of one store keep all they have in memory file systems of a few MB.

What fills one up leaves a little for the log of the server, and nothing for PostgreSQL. Needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from fastness.errors import ProgramMissing

SIZE_MB = 900
LEFT_BYTES = 256 << 10
BALLAST = "ballast"
COMMAND_S = 30.0


def missing() -> str:
    """Why there can be none here; empty if there can."""
    if os.geteuid() != 0:
        return "mounting takes root"
    return "" if shutil.which("mount") else "not installed: mount"


@dataclass(slots=True)
class Disks:
    """Use it as a context, around the cluster: mounted before, removed after."""

    store: str
    folders: Sequence[Path]
    """Of its servers; they must be empty."""
    size_mb: int = SIZE_MB
    _mounted: list[Path] = field(default_factory=list)

    def __enter__(self) -> Self:
        try:
            for folder in self.folders:
                folder.mkdir(parents=True, exist_ok=True)
                options = f"size={self.size_mb}m,mode=700"
                _run("mount", "-t", "tmpfs", "-o", options, "chaos", str(folder))
                self._mounted.append(folder)
        except BaseException:
            self._unmount()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unmount()

    def _unmount(self) -> None:
        while self._mounted:
            # What still looks at it goes on until it ends.
            _run("umount", "--lazy", str(self._mounted.pop()))

    def fill(self, name: str) -> None:
        """Leave no room on a server's disk."""
        ballast = self._ballast(name)
        free = shutil.disk_usage(ballast.parent).free
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - LEFT_BYTES))

    def free(self, name: str) -> None:
        """Give it back."""
        self._ballast(name).unlink(missing_ok=True)

    def _ballast(self, name: str) -> Path:
        return next(folder for folder in self.folders if folder.name == name) / BALLAST


def _run(*command: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own words
        command, check=False, capture_output=True, text=True, timeout=COMMAND_S
    )
    if done.returncode != 0:
        raise ProgramMissing(
            f"'{' '.join(command)}' failed: {done.stderr.strip()}: run where it may (root)"
        )
