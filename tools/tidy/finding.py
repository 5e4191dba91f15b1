"""What a check returns: one thing that is wrong, where, and what to do instead."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import NamedTuple


class Finding(NamedTuple):
    """One violation; it prints as an editor can jump to it."""

    path: PurePosixPath
    """Relative to the repository's root."""
    line: int
    """Counted from 1; 0 where the whole file is meant."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Module(NamedTuple):
    """One parsed Python file, as the checks of Python read it."""

    path: PurePosixPath
    """Relative to the repository's root."""
    text: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: PurePosixPath, text: str) -> Module:
        """Parse `text`; raises `SyntaxError`, which the linter reports better."""
        return cls(path, text, ast.parse(text, filename=str(path)))

    def finding(self, node: ast.AST, message: str) -> Finding:
        """A finding at the place of `node`."""
        return Finding(self.path, getattr(node, "lineno", 0), message)
