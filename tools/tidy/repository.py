"""Which check reads which file of a checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tools.tidy import project, source, tests_only, text
from tools.tidy.finding import Finding, Module

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = PurePosixPath("src/fastness")
ERRORS = PACKAGE / "errors.py"

SKIPPED_FOLDERS = frozenset(
    {
        ".git",
        ".hypothesis",
        ".import_linter_cache",
        ".lock-tool",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".venv",
        "__pycache__",
        "build",
        "cluster-data",
        "cluster-demo-data",
        "demo-data",
        "dist",
    }
)
"""What .gitignore leaves out; a checkout without git has the same rules."""


def findings(root: Path = ROOT) -> list[Finding]:
    """Everything wrong with the checkout at `root`, by path and line."""
    found: list[Finding] = []
    layers = frozenset(entry.stem for entry in (root / PACKAGE).iterdir())
    for path, content in text_files(root):
        found += _text_findings(root, path, content)
        if path.suffix == ".py":
            found += _python_findings(path, content, layers)
    found += _project_findings(root)
    return sorted(found)


def text_files(root: Path) -> Iterator[tuple[PurePosixPath, str]]:
    """Every text file of the checkout, by its path from the root."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if _is_ours(name))
        for name in sorted(names):
            path = Path(folder, name)
            try:
                content = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # A binary file, or a link to nowhere: neither holds text to check.
            yield PurePosixPath(path.relative_to(root).as_posix()), content


def _is_ours(folder: str) -> bool:
    return folder not in SKIPPED_FOLDERS and not folder.endswith(".egg-info")


def _text_findings(root: Path, path: PurePosixPath, content: str) -> Iterator[Finding]:
    yield from text.unfinished(path, content)
    yield from text.machine_paths(path, content, str(root))
    yield from text.registries(path, content)
    yield from text.broken_links(path, content, lambda target: (root / target).exists())


def _python_findings(
    path: PurePosixPath, content: str, layers: frozenset[str]
) -> Iterator[Finding]:
    try:
        module = Module.parse(path, content)
    except SyntaxError as error:
        yield Finding(path, error.lineno or 0, f"does not parse: {error.msg}")
        return
    for check in source.CHECKS:
        yield from check(module)
    yield from source.public_face_imports(module, layers)
    if path.parts[0] == "tests":
        for check in tests_only.CHECKS:
            yield from check(module)
    if path == ERRORS:
        yield from project.error_tree(module)


def _project_findings(root: Path) -> Iterator[Finding]:
    pyproject = _read(root, project.PYPROJECT)
    yield from project.explained_dependencies(pyproject, _read(root, project.DEPENDENCIES))
    yield from project.locked_dependencies(pyproject, _read(root, project.LOCK))
    yield from project.changelog(_read(root, project.CHANGELOG))
    folders = (entry.name for entry in (root / "tests").iterdir() if entry.is_dir())
    yield from project.folders_of_tests(filter(_is_ours, folders), _read(root, project.MANUAL))


def _read(root: Path, path: PurePosixPath) -> str:
    return (root / path).read_text(encoding="utf-8")
