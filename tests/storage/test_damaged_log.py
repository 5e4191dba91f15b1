"""Damage in the write-ahead log: refused where anything acknowledged is missing, by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastness.errors import StoreDamaged
from fastness.storage import InspectedStore, RocksStore
from fastness.storage.rocksdb.log_scan import batches
from tests.storage.homes import SMALL
from tests.storage.scenes import IN_LOG, IN_TABLES, LAST, UNSYNCED, Scene, flip, make_scene


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One scene for all tests; each damages a copy."""
    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def scene(made: Scene, tmp_path: Path) -> Scene:
    """A copy to damage."""
    return made.copy(tmp_path / "scene")


def refused(scene: Scene) -> str:
    """Hold every way of opening to refusing, twice; returns what the owner is told."""
    with pytest.raises(StoreDamaged):
        InspectedStore.open(scene.path, limits=SMALL)
    with pytest.raises(StoreDamaged) as first:
        RocksStore.open(scene.path, limits=SMALL)
    with pytest.raises(StoreDamaged) as second:
        RocksStore.open(scene.path, limits=SMALL)
    assert str(first.value) == str(second.value)
    return str(first.value)


def test_an_undamaged_copy_opens_whole(scene: Scene) -> None:
    """A killed process loses nothing, not even what was never synced."""
    assert scene.inspected_left() == LAST
    assert scene.batches_left() == LAST


@pytest.mark.parametrize("part", range(8))
def test_a_flipped_byte_is_refused(scene: Scene, part: int) -> None:
    """A byte inverted anywhere in the log is found, and the log file named."""
    size = scene.log.stat().st_size
    flip(scene.log, size * (2 * part + 1) // 16)
    assert str(scene.log) in refused(scene)


@pytest.mark.parametrize("record", [1, IN_LOG // 2, IN_LOG - 1])
def test_zeros_between_records_are_refused(scene: Scene, record: int) -> None:
    """Zeros where a record would begin, which RocksDB skips, are refused by name and place."""
    found = list(batches(scene.log))
    begin, end = found[record].offset, found[record + 1].offset
    with scene.log.open("r+b") as file:
        file.seek(begin)
        file.write(bytes(end - begin))
    message = refused(scene)
    assert str(scene.log) in message
    assert f"byte {begin}" in message


def test_a_missing_log_is_refused_and_may_come_back(scene: Scene, tmp_path: Path) -> None:
    """Without its log the directory is refused, and nothing is destroyed by trying."""
    log = scene.log
    log.rename(tmp_path / "elsewhere")
    assert "cut off or missing" in refused(scene)
    (tmp_path / "elsewhere").rename(log)
    assert scene.batches_left() == LAST


@pytest.mark.parametrize("lost", [1, 2, IN_LOG - 1, IN_LOG])
def test_a_log_cut_below_what_was_acknowledged_is_refused(scene: Scene, lost: int) -> None:
    """A log that lost acknowledged batches from its end is refused, though no record is torn."""
    sizes = [0, *scene.synced_sizes]
    os.truncate(scene.log, sizes[IN_LOG - lost])
    assert "were acknowledged" in refused(scene)


@pytest.mark.parametrize("torn", [1, 7, 8, 300])
def test_a_log_torn_within_acknowledged_batches_is_refused(scene: Scene, torn: int) -> None:
    """A log torn inside its last acknowledged batch is refused."""
    os.truncate(scene.log, scene.synced_sizes[-1] - torn)
    assert "were acknowledged" in refused(scene)


def test_a_tail_never_acknowledged_may_be_torn(made: Scene, tmp_path: Path) -> None:
    """Cut anywhere behind the last sync, the log opens with whole batches and no fewer."""
    begin, end = made.synced_sizes[-1], made.log.stat().st_size
    step = (end - begin) // (3 * UNSYNCED) + 1
    found = set()
    for number, size in enumerate([*range(begin, end, step), end]):
        scene = made.copy(tmp_path / f"scene{number}")
        os.truncate(scene.log, size)
        inspected = scene.inspected_left()
        assert scene.batches_left() == inspected
        found.add(inspected)
    assert found == set(range(IN_TABLES + IN_LOG, LAST + 1))


@pytest.mark.parametrize("zeros", [1, 100, 70_000])
def test_zeros_after_the_end_are_harmless(scene: Scene, zeros: int) -> None:
    """Space a file system had set aside and left as zeros is no damage."""
    with scene.log.open("ab") as file:
        file.write(bytes(zeros))
    assert scene.batches_left() == LAST


def test_a_torn_tail_stays_closed_once_opened(scene: Scene) -> None:
    """What was dropped with a torn tail does not come back, and what came after stays."""
    os.truncate(scene.log, scene.log.stat().st_size - 3)
    assert scene.batches_left() == LAST - 1
    assert scene.batches_left() == LAST - 1
