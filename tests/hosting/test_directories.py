"""Directories of stores: what is made durable when they are made, and what is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fastness.errors import FastnessError
from fastness.storage import RocksStore
from fastness.storage.faults import Step


def test_a_copy_never_removes_what_somebody_else_put_in_its_place(tmp_path: Path) -> None:
    """Two copies to one name at once: the second is refused, the first stays."""
    target = tmp_path / "copy"

    def other(step: Step) -> None:
        if step is Step.CHECKPOINT_BEGIN:
            target.mkdir()
            (target / "theirs").write_text("x")

    store = RocksStore.open(tmp_path / "store", faults=other)
    with pytest.raises(FastnessError):
        store.checkpoint(target)
    store.close()
    assert (target / "theirs").read_text() == "x"


SYNCED = """
import os, pathlib, sys
from fastness.storage import RocksStore

def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and os.path.isdir(arguments[0]):
        print(arguments[0])

sys.addaudithook(note)
RocksStore.open(pathlib.Path(sys.argv[1])).close()
"""
"""Says which directories are opened, which nobody does but to sync them."""


@pytest.mark.process
def test_the_names_of_all_parents_made_are_durable(tmp_path: Path) -> None:
    """Else a power failure takes the whole database away, and the next open makes a new one."""
    path = tmp_path / "some" / "where" / "deep"
    told = subprocess.run(
        [sys.executable, "-c", SYNCED, str(path)], capture_output=True, text=True, check=True
    )
    opened = set(told.stdout.splitlines())
    assert {str(tmp_path), str(tmp_path / "some"), str(tmp_path / "some" / "where")} <= opened
