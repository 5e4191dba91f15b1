"""Checks of any text file: unfinished work, machine paths, registries and broken links.

The patterns are written so that they do not match their own source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from tools.tidy.finding import Finding

_UNFINISHED = re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X)\b")
_MACHINE_PATH = re.compile(r"(?<![\w.)}])/(?:root|home|Users|tmp)/[\w.-]+")
_REGISTRY = re.compile(
    r"pypi\.(?:org|python\.org)|pythonhosted\.org|(?:registry\.)?npmjs\.(?:com|org)"
    r"|(?:repo|conda)\.anaconda\.(?:com|org)|crates\.io"
)
_INDEX_OPTION = re.compile(r"^\s*(?:-i|-f|--index-url|--extra-index-url|--find-links)\b")
_LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)")


def unfinished(path: PurePosixPath, text: str) -> Iterator[Finding]:
    """A mark of work left for later."""
    for number, line in _lines(text):
        if found := _UNFINISHED.search(line):
            yield Finding(
                path, number, f"{found[0]}: finish it, or write down the limit where users read it"
            )


def machine_paths(path: PurePosixPath, text: str, root: str = "") -> Iterator[Finding]:
    """A path that exists on one machine only; `root` is where this checkout lies."""
    for number, line in _lines(text):
        found = _MACHINE_PATH.search(line)
        if found or (root.count("/") > 1 and root in line):
            yield Finding(
                path,
                number,
                f"{found[0] if found else root} is a place on one machine: use tmp_path in tests, "
                "tempfile in programs, a relative path in documents",
            )


def registries(path: PurePosixPath, text: str) -> Iterator[Finding]:
    """The host of a package registry, which each installation configures for itself."""
    for number, line in _lines(text):
        if found := _REGISTRY.search(line):
            yield Finding(
                path, number, f"{found[0]}: name the package, not the registry it comes from"
            )
        if path.parts[:1] == ("requirements",) and _INDEX_OPTION.search(line):
            yield Finding(
                path, number, "chooses a registry: leave that to pip's configuration (make lock)"
            )


def broken_links(
    path: PurePosixPath, text: str, exists: Callable[[PurePosixPath], bool]
) -> Iterator[Finding]:
    """A relative link of a Markdown page to nothing; `exists` takes a path from the root."""
    if path.suffix != ".md":
        return
    for number, line in _lines(text):
        for link in _LINK.finditer(line):
            target = link["target"]
            if ":" not in target and not exists(_resolve(path.parent, target)):
                yield Finding(path, number, f"link to {target}: nothing is there")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.splitlines(), start=1)


def _resolve(folder: PurePosixPath, target: str) -> PurePosixPath:
    """Apply a relative link to the folder of its page, without looking at the disk."""
    parts: list[str] = [] if target.startswith("/") else list(folder.parts)
    for part in PurePosixPath(target.lstrip("/")).parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return PurePosixPath(*parts)
