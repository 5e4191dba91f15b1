"""Noticing that the token file has changed, without reading it."""

from __future__ import annotations

from pathlib import Path

from fastness.server.token_file import read_tokens
from fastness.server.tokens import Token

Signature = tuple[int, int, int] | None


class TokenWatch:
    """One token file, or none where the path is empty."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._seen: Signature = None

    def read(self) -> list[Token] | None:
        """Its tokens, `None` where there is no file to have any; `InvalidOption` otherwise."""
        if self._path is None:
            return None
        # Before reading: a change in between is noticed the next time.
        self._seen = _signature(self._path)
        return read_tokens(self._path)

    def has_changed(self) -> bool:
        """Whether it is another file than the one read last, or was written to."""
        return self._path is not None and _signature(self._path) != self._seen


def _signature(path: Path) -> Signature:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
