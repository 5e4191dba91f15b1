"""Damage in table files, the manifest and what names it: found, told by name, never shorter."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from fastness.errors import StoreDamaged
from fastness.storage import InspectedStore, RocksStore, Store
from fastness.storage.cells import value_of
from tests.storage.homes import ALL_KEYS, SMALL
from tests.storage.scenes import LAST, Scene, contents, flip, make_scene

PARTS = 40
KEYS_TOGETHER = 16


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One scene with everything in tables; each test damages a copy."""
    scene = make_scene(tmp_path_factory.mktemp("scene"))
    assert scene.batches_left() == LAST
    return scene


@pytest.fixture
def scene(made: Scene, tmp_path: Path) -> Scene:
    """A copy to damage."""
    return made.copy(tmp_path / "scene")


def outcome(call: Callable[[], object]) -> object:
    """What a call gives, or `StoreDamaged` where it raises that; nothing else may be raised."""
    try:
        return call()
    except StoreDamaged:
        return StoreDamaged


def newest_values(store: Store, keys: list[bytes]) -> list[object]:
    """Each key read through the engine's own call, as a transaction does."""

    def read(key: bytes) -> bytes | None:
        try:
            cell = store.newest(key)
        except Exception as error:
            raise store.failure(error) from error
        return None if cell is None else value_of(cell)

    return [outcome(partial(read, key)) for key in keys]


def scanned(store: Store, *, reverse: bool = False, at: int = LAST) -> dict[bytes, bytes]:
    """Everything, by a scan."""
    found = store.scan(ALL_KEYS, at=at, limit=100_000, reverse=reverse)
    return {key: value_of(cell) for key, cell in found}


def looked_up_together(store: Store, truth: dict[bytes, bytes], at: int) -> bool:
    """Hold keys looked up in one call to the truth, or all of them to `StoreDamaged`."""
    keys = sorted(truth)
    met = False
    for begin in range(0, len(keys), KEYS_TOGETHER):
        wanted = [*keys[begin : begin + KEYS_TOGETHER], b"absent"]
        cells = outcome(partial(store.get_many, wanted, at))
        if not isinstance(cells, list):
            met = True
            continue
        found = [None if cell is None else value_of(cell) for cell in cells]
        assert found == [*(truth[key] for key in wanted[:-1]), None]
    return met


def check_answers(store: Store) -> bool:
    """Hold every read to the truth or to `StoreDamaged`; whether any read met the damage."""
    truth = contents(LAST)
    met = False
    for key, value in zip(truth, newest_values(store, list(truth)), strict=True):
        assert value in (truth[key], StoreDamaged)
        met = met or value is StoreDamaged
    past = contents(LAST - 50)
    met = looked_up_together(store, truth, LAST) or met
    met = looked_up_together(store, past, LAST - 50) or met
    for reverse in (False, True):
        now = outcome(partial(scanned, store, reverse=reverse))
        then = outcome(partial(scanned, store, reverse=reverse, at=LAST - 50))
        assert now in (truth, StoreDamaged)
        assert then in (past, StoreDamaged)
        met = met or StoreDamaged in (now, then)
    told = outcome(lambda: len(store.changes(0, LAST, 1_000)))
    assert told in (LAST, StoreDamaged)
    return met or told is StoreDamaged


def close_damaged(store: Store) -> None:
    """Close a store whose background work may have met the damage; nothing else may fail."""
    with suppress(StoreDamaged):
        store.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_flipped_byte_in_a_table_is_never_believed(scene: Scene, part: int) -> None:
    """Wherever a table is damaged, opening or reading says so, or every answer is right."""
    table = scene.table_files[0]
    flip(table, table.stat().st_size * (2 * part + 1) // (2 * PARTS))
    store = outcome(lambda: RocksStore.open(scene.path, limits=SMALL))
    if not isinstance(store, RocksStore):
        refuse(scene, table.name)
        return
    met = check_answers(store)
    found = outcome(store.verify)
    assert not met or found
    close_damaged(store)


def test_verify_names_the_damaged_table(scene: Scene) -> None:
    """Verification tells which file is damaged, and goes on with what it can read."""
    table = scene.table_files[0]
    flip(table, table.stat().st_size // 3)
    store = InspectedStore.open(scene.path, limits=SMALL)
    found = store.verify()
    assert any(table.name in damage.what for damage in found)
    store.close()


def test_a_missing_table_is_refused(scene: Scene) -> None:
    """A table file that is gone is named at the opening."""
    table = scene.table_files[-1]
    table.unlink()
    refuse(scene, table.name)


def test_a_table_cut_short_is_refused(scene: Scene) -> None:
    """A table file that lost its end is named at the opening."""
    table = scene.table_files[0]
    os.truncate(table, table.stat().st_size - 1)
    refuse(scene, table.name)


@pytest.mark.parametrize("part", range(10))
def test_a_flipped_byte_in_the_manifest_is_refused(scene: Scene, part: int) -> None:
    """The manifest is checked as a whole."""
    manifest = scene.manifest
    flip(manifest, manifest.stat().st_size * (2 * part + 1) // 20)
    refuse(scene, manifest.name)


@pytest.mark.parametrize("kept", [0, 1, 100, -100, -10, -1])
def test_a_manifest_cut_short_is_refused(scene: Scene, kept: int) -> None:
    """A manifest that lost its end, which RocksDB accepts, is refused."""
    manifest = scene.manifest
    os.truncate(manifest, kept if kept >= 0 else manifest.stat().st_size + kept)
    refuse(scene, manifest.name)


def test_a_missing_manifest_is_refused(scene: Scene) -> None:
    """A manifest that is gone is named."""
    manifest = scene.manifest
    manifest.unlink()
    refuse(scene, manifest.name)


@pytest.mark.parametrize("content", ["", "nonsense", "MANIFEST-\n", "MANIFEST-000999\n", "\xff"])
def test_a_damaged_current_is_refused(scene: Scene, content: str) -> None:
    """`CURRENT` must name a manifest that is there."""
    (scene.tables / "CURRENT").write_bytes(content.encode("latin-1"))
    refuse(scene, "000999" if "999" in content else "CURRENT")


def test_a_missing_current_is_refused(scene: Scene) -> None:
    """Without `CURRENT` nothing is created anew over the tables."""
    current = scene.tables / "CURRENT"
    content = current.read_bytes()
    current.unlink()
    refuse(scene, "CURRENT")
    current.write_bytes(content)
    assert scene.batches_left() == LAST


def test_an_older_current_is_refused(scene: Scene) -> None:
    """`CURRENT` put back to an older manifest, as by a partial restore, is refused."""
    number = int(scene.manifest.name.partition("-")[2])
    older = scene.tables / f"MANIFEST-{number - 1:06}"
    shutil.copy(scene.manifest, older)
    (scene.tables / "CURRENT").write_text(f"{older.name}\n")
    refuse(scene, older.name)


def test_missing_tables_are_refused(scene: Scene) -> None:
    """A directory whose tables are all gone is not taken for a new one."""
    shutil.rmtree(scene.tables)
    refuse(scene, "CURRENT")


@pytest.mark.parametrize("name", ["IDENTITY", "rocksdict-config.json", "OPTIONS-*", "LOG", "LOCK"])
def test_files_that_hold_nothing_may_go(scene: Scene, name: str) -> None:
    """What RocksDB writes for people, and can do without, may be lost."""
    for path in scene.tables.glob(name):
        path.unlink()
    assert scene.batches_left() == LAST


def refuse(scene: Scene, named: str) -> None:
    """Hold every way of opening to refusing, and to naming the file."""
    for opening in (RocksStore.open, InspectedStore.open, RocksStore.open):
        with pytest.raises(StoreDamaged, match=named):
            opening(scene.path, limits=SMALL)
