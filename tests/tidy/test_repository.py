"""This checkout keeps the rules of the house, and runs its tests under the conditions it says."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fastness import invariants
from tests.threads import still_running
from tests.tidy.planted import planted
from tools.tidy.repository import ROOT, findings, text_files

SHOWN = 40
MINIMAL = {
    "pyproject.toml": '[build-system]\nrequires = ["flit_core"]\n[project]\nname = "x"\n',
    "docs/DEPENDENCIES.md": "| `flit_core` | builds |\n",
    "requirements/dev.lock": "flit-core==1.0 \\\n    --hash=sha256:00\n",
    "CHANGELOG.md": "## Unreleased\n",
    "tests/README.md": "# Tests\n",
    "src/fastness/errors.py": '"""Errors::\n\n    Root\n"""\n\n\nclass Root(Exception):\n'
    '    """The root."""\n\n    code = "root"\n',
}


def checkout(root: Path, files: dict[str, str]) -> Path:
    """A small repository that holds `files` by path."""
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    return root


def test_this_checkout_is_tidy() -> None:
    """No rule of the house is broken anywhere in the repository."""
    found = findings()
    shown = "\n".join(str(finding) for finding in found[:SHOWN])
    assert not found, f"{len(found)} findings (python -m tools.tidy lists all):\n{shown}"


def test_a_tidy_repository_has_no_findings(tmp_path: Path) -> None:
    """The smallest lawful repository passes, with files of git and of no text beside it."""
    root = checkout(
        tmp_path, {**MINIMAL, ".git/config": "", ".venv/lib/utils.py": planted("TO~DO")}
    )
    (root / "binary").write_bytes(b"\xff\xfe\x00")
    (root / "nowhere").symlink_to("missing")
    assert findings(root) == []


@pytest.mark.parametrize(
    ("path", "content", "what"),
    [
        ("docs/PAGE.md", "TO~DO", "finish it"),
        ("docs/PAGE.md", "[x](y.md)", "nothing is there"),
        ("docs/PAGE.md", "https://py~pi.org", "registry"),
        ("docs/PAGE.md", "/ho~me/ana", "one machine"),
        ("docs/PAGE.md", "run it in ROOT/x", "one machine"),
        ("tests/cli/test_cli.py", '"""Doc."""\n', "no line for `cli/`"),
        ("tests/test_cli.py", '"""Doc."""\n\n\ndef test_x(): ...\n', "no docstring"),
        (
            "src/fastness/errors.py",
            '"""No tree."""\nclass Root(Exception): ...\n',
            "no code of its own",
        ),
        ("src/fastness/storage/x.py", '"""Doc."""\nimport fastness\n', "public face"),
        ("src/fastness/utils.py", '"""Doc."""\n', "drawer"),
        ("tools/broken.py", "def\n", "does not parse"),
        ("CHANGELOG.md", "", "Unreleased"),
        ("requirements/dev.lock", "", "not pinned"),
        ("docs/DEPENDENCIES.md", "", "no row"),
    ],
)
def test_each_check_reaches_its_files(tmp_path: Path, path: str, content: str, what: str) -> None:
    """One violation planted in a file of each kind is found, by its path."""
    text = planted(content).replace("ROOT", str(tmp_path))
    found = findings(checkout(tmp_path, {**MINIMAL, path: text}))
    assert [what in finding.message for finding in found] == [True]


def test_every_kind_of_file_is_read() -> None:
    """The walk reaches the hidden folder of the CI script and skips what tools leave behind."""
    paths = {path.as_posix() for path, _content in text_files(ROOT)}
    assert {"Makefile", ".ci/run", "src/fastness/errors.py", "tests/README.md"} <= paths
    assert not any("__pycache__" in path or path.startswith(".git/") for path in paths)


def test_costly_invariants_are_on() -> None:
    """Tests run with the checks that production leaves out."""
    assert invariants.EXPENSIVE


def test_a_thread_left_running_is_noticed() -> None:
    """What the fixture around every test asks names a thread until it has ended."""
    before = set(threading.enumerate())
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="left behind")
    thread.start()
    assert still_running(before, patience_seconds=0.0) == ["left behind"]
    release.set()
    assert still_running(before, patience_seconds=5.0) == []
