"""Directory trees on disk as nasty as a file system allows, for the demo to load."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NOT_UTF8 = b"not utf-8 \xff\xfe \xc3"
LONGEST = b"x" * 255
LONGEST_NOT_UTF8 = b"\xff" * 255


def make_tree(root: Path) -> Path:
    """Nested folders, strange names, links that lead nowhere and in circles, a pipe."""
    (root / "docs" / "plans").mkdir(parents=True)
    (root / "docs" / "plans" / "plan.txt").write_text("plan")
    (root / "empty").mkdir()
    (root / "źdź [bold]\\n").write_bytes(b"x" * 10_000)
    (root / "broken").symlink_to("nowhere/at/all")
    (root / "circle").symlink_to("circle")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "pipe")
    for name in (NOT_UTF8, LONGEST, LONGEST_NOT_UTF8):
        try:
            Path(os.fsdecode(os.path.join(os.fsencode(root), name))).write_bytes(b"")  # noqa: PTH118 - bytes
        except OSError:
            pytest.skip("this file system takes only names in UTF-8")
    os.utime(root / "empty", ns=(0, -1_000_000_000))
    for number in range(40):
        (root / "docs" / f"file {number}").write_bytes(bytes(number))
    return root


def make_deep(root: Path) -> None:
    """Folders so deep that their path is longer than the operating system takes."""
    name = "d" * 250
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(18):
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
