"""The demo on a real cluster: members are killed, and everything is right and gone afterwards."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import fastness
from examples.files.cluster import main
from examples.files.cluster.borders import AREA, begin_of
from examples.files.cluster.run import PASSED, REFUSED
from examples.files.schema import SCHEMA, Space, SpaceId


def test_a_range_begins_where_the_keys_of_a_space_do() -> None:
    """The number of the area is what the registry gives out."""
    with fastness.open("memory:", schema=SCHEMA) as db, db.transaction() as tx:
        assert tx.fetch(Space, SpaceId(1)) is None
        assert tx.schema.catalog.areas["space"].number == AREA
    assert begin_of(SpaceId(2)) == bytes.fromhex("ff01 1502 1502")


@pytest.mark.process
@pytest.mark.timeout(600)
def test_the_demo_passes_and_leaves_nothing(tmp_path: Path) -> None:
    """A small tree, and every blow."""
    tree = tmp_path / "tree"
    for number in range(20):
        (tree / f"folder {number}").mkdir(parents=True)
        (tree / f"folder {number}" / "file").write_text("here")
    said = io.StringIO()
    folder = tmp_path / "cluster"
    code = main(tree, folder, entries_max=100, operations=200, seed=1, console=Console(file=said))
    assert code == PASSED, said.getvalue()
    for told in ("SIGKILL: node", "SIGKILL: PostgreSQL primary", "Every check passed"):
        assert told in said.getvalue()
    assert not folder.exists()


def test_a_folder_that_exists_is_refused(tmp_path: Path) -> None:
    """The demo removes its folder, so it takes only one that it made."""
    said = io.StringIO()
    assert main(tmp_path, tmp_path, console=Console(file=said, width=300)) == REFUSED
    assert "exists: name a new" in said.getvalue()
