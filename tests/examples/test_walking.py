"""Loading real trees and comparing them with the disk again."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.files import service
from examples.files.demo.checking import check_space
from examples.files.demo.loading import batches, load
from examples.files.demo.names import text_of
from examples.files.demo.verifying import Verdict, Verification
from examples.files.demo.walking import Walk, moment_of
from examples.files.schema import ROOT, Entry, Kind, SpaceId
from fastness import Database
from tests.examples.real_trees import LONGEST, LONGEST_NOT_UTF8, NOT_UTF8, make_deep, make_tree

HOUR_NS = 3_600_000_000_000


def silently(_count: int) -> None:
    """Nobody watches."""


def loaded(db: Database, space: SpaceId, root: Path, entries_max: int = 10_000) -> Walk:
    """The tree at `root` loaded into the root folder of the space."""
    walk = Walk(os.fsencode(root), entries_max)
    load(db, space, ROOT, walk, advance=silently)
    return walk


def verified(db: Database, space: SpaceId, walk: Walk, *, began_ns: int) -> Verdict:
    """The verdict on what was loaded."""
    return Verification(db, space, walk, began_ns=began_ns).run(silently)


def long_after() -> int:
    """A moment at which nothing on disk has changed since: each difference is a loss."""
    return time.time_ns() + HOUR_NS


def test_strange_names_and_links_are_kept(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """Names of any bytes, broken links, pipes and old dates arrive without loss."""
    walk = loaded(db, space, make_tree(tmp_path))
    for name in (NOT_UTF8, LONGEST, LONGEST_NOT_UTF8):
        assert service.lookup(db, space, text_of(name)).kind is Kind.FILE
    assert service.lookup(db, space, "broken").target == "nowhere/at/all"
    assert service.lookup(db, space, "circle").target == "circle"
    assert service.lookup(db, space, "pipe").kind is Kind.SPECIAL
    assert service.lookup(db, space, "docs/plans/plan.txt").size == 4
    assert service.lookup(db, space, "empty").modified == datetime(1969, 12, 31, 23, 59, 59, 0, UTC)
    assert (walk.unreadable, walk.not_entered) == (0, 0)
    assert walk.entries == sum(len(folders) + len(files) for _, folders, files in os.walk(tmp_path))
    assert walk.count() == walk.entries
    assert check_space(db, space).problems == []


def test_a_fresh_walk_equals_what_was_loaded(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """Every entry of an unchanged tree compares equal."""
    walk = loaded(db, space, make_tree(tmp_path))
    verdict = verified(db, space, walk, began_ns=long_after())
    assert (verdict.entries, verdict.changed, verdict.lost) == (walk.entries, 0, 0)


def test_an_empty_tree(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """A folder with nothing in it loads and verifies."""
    walk = loaded(db, space, tmp_path)
    assert (walk.entries, walk.count()) == (0, 0)
    assert verified(db, space, walk, began_ns=long_after()).entries == 0


def test_a_loss_is_found(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """An entry missing, changed or too many in the database is a loss, whatever the disk says."""
    walk = loaded(db, space, make_tree(tmp_path))
    plan = service.lookup(db, space, "docs/plans/plan.txt").id
    with db.transaction() as tx:
        tx.patch(Entry, space, plan, size=5)
        for name in ("broken", "circle"):
            tx.remove(Entry, space, service.lookup(tx, space, name).id)
    (tmp_path / "circle").unlink()
    service.create_file(db, space, ROOT, "never on disk")
    verdict = verified(db, space, walk, began_ns=0)
    assert (verdict.lost, verdict.changed) == (4, 0)
    assert any("plan.txt" in loss for loss in verdict.losses)


def test_what_the_walk_missed_is_a_loss(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """An entry on disk that was never seen is new only if the disk says it changed."""
    walk = loaded(db, space, tmp_path)
    (tmp_path / "f").touch()
    assert verified(db, space, walk, began_ns=0).changed == 1
    assert verified(db, space, walk, began_ns=long_after()).lost == 1


def test_a_changing_tree_is_no_loss(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """Files changed, removed and added since loading began are told apart from losses."""
    began_ns = time.time_ns()
    walk = loaded(db, space, make_tree(tmp_path))
    (tmp_path / "docs" / "plans" / "plan.txt").write_text("another plan")
    (tmp_path / "broken").unlink()
    (tmp_path / "docs" / "plans" / "plan.txt").rename(tmp_path / "renamed")
    (tmp_path / "empty").rmdir()
    (tmp_path / "new").mkdir()
    verdict = verified(db, space, walk, began_ns=began_ns)
    assert verdict.lost == 0
    assert verdict.changed >= 5


def test_a_vanished_tree_is_no_loss(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """What is gone with the folders above it counts as changed, not as lost."""
    began_ns = time.time_ns()
    deep = tmp_path / "tree" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "f").touch()
    walk = loaded(db, space, tmp_path)
    (deep / "f").unlink()
    for folder in (deep, deep.parent, deep.parent.parent):
        folder.rmdir()
    verdict = verified(db, space, walk, began_ns=began_ns)
    assert (verdict.lost, verdict.changed) == (0, 4)


def test_what_cannot_be_read_is_noted(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """A folder the operating system refuses to list is an entry, noted and not entered."""
    make_deep(tmp_path)
    (tmp_path / "f").touch()
    walk = loaded(db, space, tmp_path)
    assert walk.unreadable == 1
    assert "too long" in walk.refusals[0]
    assert verified(db, space, walk, began_ns=long_after()).lost == 0


def test_a_forbidden_folder_is_noted(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """A folder without permission is counted and shown; the rest is loaded."""
    forbidden = tmp_path / "forbidden"
    forbidden.mkdir()
    (tmp_path / "f").touch()
    forbidden.chmod(0)
    try:
        if os.access(forbidden, os.R_OK):
            pytest.skip("this user may read everything")
        walk = loaded(db, space, tmp_path)
    finally:
        forbidden.chmod(0o700)
    assert walk.unreadable == 1
    assert "Permission denied" in walk.refusals[0]
    assert service.lookup(db, space, "f").kind is Kind.FILE


def test_the_limit_stops_between_folders(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """Beyond the limit no folder is entered; what was entered is complete and verifies."""
    walk = loaded(db, space, make_tree(tmp_path), entries_max=5)
    assert walk.not_entered == 2
    assert 5 <= walk.entries < walk.count() + 10
    verdict = verified(db, space, walk, began_ns=long_after())
    assert (verdict.entries, verdict.lost) == (walk.entries, 0)


def test_an_excluded_folder_is_not_entered(db: Database, space: SpaceId, tmp_path: Path) -> None:
    """The directory the demo writes to is left out of the tree around it."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "f").touch()
    status = (tmp_path / "own").stat()
    identity = (status.st_dev, status.st_ino)
    walk = Walk(os.fsencode(tmp_path), 100, excluded=frozenset([identity]))
    load(db, space, ROOT, walk, advance=silently)
    assert (walk.entries, walk.not_entered) == (1, 1)


def test_batches_keep_order_and_size() -> None:
    """Drafts arrive in the order found, in lists of the size asked."""
    drafts = [service.Draft(folder=ROOT, name=str(number)) for number in range(10)]
    joined = list(batches([drafts[:1], [], drafts[1:8], drafts[8:]], 4))
    assert [len(batch) for batch in joined] == [4, 4, 2]
    assert [draft for batch in joined for draft in batch] == drafts


@pytest.mark.parametrize("nanoseconds", [0, -1, 10**18, 1 << 62, -(1 << 62), 1 << 70, -(1 << 70)])
def test_every_file_time_has_a_moment(nanoseconds: int) -> None:
    """Times that no calendar holds become its first or last moment."""
    assert moment_of(nanoseconds).tzinfo is UTC
