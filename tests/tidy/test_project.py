"""The checks across files, each on a planted disagreement."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from tests.tidy.planted import module
from tools.tidy import project

PYPROJECT = """
[build-system]
requires = ["flit_core>=3"]
[project]
dependencies = ["msgspec>=0.22,<0.23", "Typer"]
[project.optional-dependencies]
fast = ["uvloop>=0.22; sys_platform != 'win32'"]
"""
ROWS = "| `flit_core` | x |\n| `msgspec` | x |\n| `typer` | x |\n| `uvloop` | x |\n"
PINS = "".join(
    f"{name}==1.0 \\\n    --hash=sha256:00\n    # via fastness\n"
    for name in ("flit-core", "msgspec", "typer", "uvloop")
)
TREE = '''
"""The errors::

    Root
    |-- Left                 what to do
    |   |-- A, B
    |   `-- C                what to do
    `-- Right                what to do
        `-- D                what to do
"""
class Root(Exception):
    code: ClassVar[str] = "root"
class Left(Root):
    code = "left"
class A(Left):
    code = "a"
class B(Left):
    code = "b"
class C(Left):
    code = "c"
class Right(Root):
    code = "right"
class D(Right):
    code = "d"
'''


def test_dependencies_are_read_from_everywhere() -> None:
    """Build, runtime and extra dependencies count, by their normalised names."""
    assert project.direct_dependencies(PYPROJECT) == {"flit-core", "msgspec", "typer", "uvloop"}


def test_each_dependency_is_explained() -> None:
    """A dependency without a row is found, and a row without a dependency."""
    assert not list(project.explained_dependencies(PYPROJECT, ROWS))
    page = ROWS.replace("`uvloop`", "`trio`")
    messages = [finding.message for finding in project.explained_dependencies(PYPROJECT, page)]
    assert ["`uvloop`" in messages[0], "`trio`" in messages[1]] == [True, True]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("uvloop==1.0 \\\n    --hash=sha256:00\n", "", "`uvloop` is not pinned"),
        ("typer==1.0 \\\n    --hash=sha256:00\n", "typer==1.0\n", "`typer` has no hash"),
        ("typer==1.0 ", "typer>=1.0 ", "is no pinned package"),
    ],
)
def test_the_lock_pins_and_hashes(old: str, new: str, what: str) -> None:
    """A dependency not pinned, not pinned exactly, or without a hash is found."""
    assert not list(project.locked_dependencies(PYPROJECT, PINS))
    found = project.locked_dependencies(PYPROJECT, PINS.replace(old, new))
    assert any(what in finding.message for finding in found)


def test_the_changelog_has_room_for_the_next_change() -> None:
    """A changelog without its Unreleased section is found."""
    assert not list(project.changelog("# Changelog\n\n## Unreleased\n"))
    assert len(list(project.changelog("# Changelog\n\n## 1.0\nUnreleased\n"))) == 1


def test_each_folder_of_tests_has_a_purpose() -> None:
    """A folder that the manual of the tests does not name is found."""
    manual = "| `cli/` | the command |\n"
    (finding,) = project.folders_of_tests(["cli", "model"], manual)
    assert (finding.path, "`model/`" in finding.message) == (PurePosixPath("tests/README.md"), True)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('code = "d"', 'code = "a"', "D has the code 'a' of A"),
        ('code = "d"', "pass", "D has no code of its own"),
        ("|-- A, B", "|-- A", "B is not drawn"),
        ("|-- A, B", "|-- A, B, Z", "Z is drawn in the tree, but"),
        ("class D(Right)", "class D(Left)", "D derives from Left, but is drawn below Right"),
        ("    |   `-- C ", "    |-- C     ", "C derives from Left, but is drawn below Root"),
    ],
)
def test_the_error_tree_is_the_one_drawn(old: str, new: str, what: str) -> None:
    """A clash of codes, and each way for drawing and classes to differ, is found."""
    assert not list(project.error_tree(module(TREE)))
    assert old in TREE
    found = project.error_tree(module(TREE.replace(old, new)))
    assert any(what in finding.message for finding in found)
