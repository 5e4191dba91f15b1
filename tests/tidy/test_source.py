"""The checks of one Python file, each on a planted violation and on its nearest lawful twin."""

from __future__ import annotations

import pytest

from tests.tidy.planted import LAYER, module
from tools.tidy import source

LAYERS = frozenset({"errors", "invariants", "storage"})


def function_of(lines: int) -> str:
    """A function of that many lines."""
    return "def long() -> None:\n" + "    print()\n" * (lines - 1)


def test_a_file_may_have_800_lines() -> None:
    """The hard stop of a file's length is exact."""
    assert not list(source.file_length(module("pass\n" * 800)))
    (finding,) = source.file_length(module("pass\n" * 801))
    assert "801 lines, at most 800" in finding.message


def test_a_function_may_have_70_lines() -> None:
    """The hard stop of a function's length is exact, for nested and async functions too."""
    assert not list(source.function_length(module(function_of(70))))
    (finding,) = source.function_length(module(function_of(71)))
    assert "long has 71 lines" in finding.message
    assert len(list(source.function_length(module("async " + function_of(71))))) == 1


def test_a_method_is_measured_alone() -> None:
    """A long class of short methods is lawful: only functions have this limit."""
    methods = "".join(f"    def step_{n}(self) -> None: ...\n" for n in range(200))
    assert not list(source.function_length(module("class Steps:\n" + methods)))


@pytest.mark.parametrize("code", ["", "x = 1\n", '"""   """\n', "# A comment is none.\n"])
def test_a_module_needs_a_docstring(code: str) -> None:
    """A missing or empty module docstring is found."""
    (finding,) = source.module_docstring(module(code))
    assert finding.line == 1


def test_a_module_docstring_is_enough() -> None:
    """A module that says its job passes."""
    assert not list(source.module_docstring(module('"""The stored form of a version."""\n')))


@pytest.mark.parametrize(
    "path",
    [
        "src/fastness/utils.py",
        "src/fastness/_helpers.py",
        "src/fastness/common/cells.py",
        "tests/misc/test_cells.py",
    ],
)
def test_a_drawer_is_named(path: str) -> None:
    """A file or a folder named for nothing in particular is found, private or not."""
    (finding,) = source.module_name(module("", path))
    assert "name the noun it holds" in finding.message


def test_a_noun_is_a_good_module_name() -> None:
    """A word that only contains a banned one passes."""
    assert not list(source.module_name(module("", "src/fastness/commons_based/utility.py")))


def test_a_manager_gets_a_better_name() -> None:
    """A class that manages is found, with names to choose from."""
    (finding,) = source.class_names(module("class LeaseManager: ...\nclass Manages: ...\n"))
    assert "LeaseRegistry" in finding.message


@pytest.mark.parametrize(
    "code",
    [
        "def read(ctx): ...",
        "def read(*, val): ...",
        "def get_cfg(): ...",
        "class Open:\n    def read(self, key_idx): ...",
    ],
)
def test_a_public_name_is_written_out(code: str) -> None:
    """An abbreviation in a public function's name or parameters is found."""
    (finding,) = source.public_names(module(code))
    assert "write out" in finding.message


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("def _read(ctx): ...", LAYER),
        ("def read(context, tx, db): ...", LAYER),
        ("def read(ctx): ...", "tools/generate.py"),
    ],
)
def test_a_private_name_is_its_own_affair(code: str, path: str) -> None:
    """Private functions, the API's own short names and other folders pass."""
    assert not list(source.public_names(module(code, path)))


@pytest.mark.parametrize(
    "statement",
    ["import fastness", "import fastness.errors", "from fastness.errors import Conflict",
     "from . import cells", "from ..errors import Conflict"],
)  # fmt: skip
def test_our_own_modules_are_imported_at_the_top(statement: str) -> None:
    """An import of ours inside a function is found, at the top it passes."""
    (finding,) = source.function_level_imports(module(f"def f() -> None:\n    {statement}\n"))
    assert finding.line == 2
    assert not list(source.function_level_imports(module(statement)))


def test_another_package_may_be_imported_late() -> None:
    """A function may import what is not ours, as an optional engine."""
    late = "def f() -> None:\n    import fastnesses\n    import uvloop\n"
    assert not list(source.function_level_imports(module(late)))


@pytest.mark.parametrize(
    "statement",
    ["import fastness", "from fastness import open", "from fastness import errors, run"],
)
def test_a_layer_does_not_import_the_public_face(statement: str) -> None:
    """A layer that imports what imports it is found."""
    assert len(list(source.public_face_imports(module(statement), LAYERS))) == 1


@pytest.mark.parametrize(
    ("statement", "path"),
    [
        ("from fastness import errors, invariants", LAYER),
        ("from fastness.errors import Conflict", LAYER),
        ("import fastness", "src/fastness/cli/demo.py"),
        ("import fastness", "examples/files/service.py"),
    ],
)
def test_the_public_face_serves_what_lies_above(statement: str, path: str) -> None:
    """Submodules pass everywhere; the face itself for the command line and for users."""
    assert not list(source.public_face_imports(module(statement, path), LAYERS))


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept: pass",
        "try: f()\nexcept (ValueError, BaseException): ...",
        "for x in y:\n    try: f()\n    except Exception as error: continue",
        "with contextlib.suppress(Exception): f()",
        "with suppress(OSError, BaseException): f()",
    ],
)
def test_an_error_is_not_swallowed(code: str) -> None:
    """Catching anything and doing nothing is found in each of its spellings."""
    assert len(list(source.swallowed_errors(module(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept FileNotFoundError: pass",
        "try: f()\nexcept Exception: g()",
        "with contextlib.suppress(FileNotFoundError): f()",
    ],
)
def test_an_expected_error_may_be_ignored(code: str) -> None:
    """A named error may be ignored, and anything may be caught by who handles it."""
    assert not list(source.swallowed_errors(module(code)))


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # no~qa",
        "x = 1  # no~qa: E501",
        "x = 1  # no~qa: E501 because",
        "x = 1  # ty~pe: ignore",
        "x = 1  # ty~pe: ignore[attr-defined]",
    ],
)
def test_an_exemption_says_why(line: str) -> None:
    """A rule switched off without its name or without a reason is found."""
    assert len(list(source.unexplained_exemptions(module(line)))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # no~qa: E501 - a URL cannot be broken",
        "x = 1  # no~qa: E501, S101 - both for a reason",
        "x = 1  # ty~pe: ignore[attr-defined, misc]  # the stubs lack it",
    ],
)
def test_an_explained_exemption_stands(line: str) -> None:
    """A rule switched off by name and with a reason passes."""
    assert not list(source.unexplained_exemptions(module(line)))
