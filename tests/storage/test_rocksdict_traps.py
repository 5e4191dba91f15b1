"""What the pinned rocksdict does that one would not expect, each with the way around it.

A test that fails here after an upgrade is good news: the code named in its docstring may
become simpler.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from rocksdict import (
    AccessType,
    Checkpoint,
    DbClosedError,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from fastness.storage import RocksStore
from tests.storage.homes import SMALL, Writer, commit, copy_as_left

FAMILY = "family"


def options(*, create: bool = True) -> Options:
    """Options as rocksdict has them by default, for raw bytes."""
    found = Options(raw_mode=True)
    found.create_if_missing(create)
    found.create_missing_column_families(create)
    return found


class Raw:
    """A database with one column family, as rocksdict opens it by default."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.root = Rdict(str(path), options(create=create), {FAMILY: options(create=create)})
        self.family = self.root.get_column_family(FAMILY)

    def fill(self, rows: int, *, begin: int = 0) -> None:
        """Write numbered rows of 100 bytes."""
        for number in range(begin, begin + rows):
            self.family.put(b"%06d" % number, Random(number).randbytes(100))

    def count(self) -> int:
        """How many rows a plain iteration finds."""
        return len(list(self.family.keys()))

    def close(self) -> None:
        """Close the family and the database."""
        self.family.close()
        self.root.close()


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[Raw]:
    """An open raw database."""
    database = Raw(tmp_path / "raw")
    yield database
    database.close()


def left_by_a_kill(database: Raw, tmp_path: Path) -> Path:
    """The files as a killed process leaves them."""
    database.root.flush_wal(sync=True)
    return Path(shutil.copytree(database.root.path(), tmp_path / "left"))


def rows(cursor: RdictIter) -> list[bytes]:
    """The keys a cursor goes through."""
    cursor.seek_to_first()
    found = []
    while cursor.valid():
        found.append(cursor.key())
        cursor.next()
    return found


class Bystander:
    """A thread that runs as soon as the interpreter lock is let go, and never otherwise."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self.ran = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self._go.wait()
        self.ran = True

    def runs_during(self, call: Callable[[], object]) -> bool:
        """Whether the thread got to run while `call` did."""
        switch = sys.getswitchinterval()
        sys.setswitchinterval(1_000)
        try:
            self._thread.start()
            self._go.set()
            call()
            return self.ran
        finally:
            sys.setswitchinterval(switch)
            self._thread.join()


def lets_others_run(call: Callable[[], object], attempts: int) -> bool:
    """Whether in one of several attempts another thread ran during a call."""
    return any(Bystander().runs_during(call) for _attempt in range(attempts))


def test_a_synced_write_freezes_every_thread(raw: Raw) -> None:
    """`write` with sync keeps the interpreter lock; hence unsynced writes, then `flush_wal`."""
    synced = WriteOptions()
    synced.sync = True

    def write() -> None:
        batch = WriteBatch(raw_mode=True)
        batch[b"a"] = b"1"
        raw.root.write(batch, synced)

    def flush() -> None:
        raw.family.put(b"a", b"1")
        raw.root.flush_wal(sync=True)

    assert not lets_others_run(write, 10)
    assert lets_others_run(flush, 200)


def test_the_stores_sync_freezes_nobody(tmp_path: Path) -> None:
    """`sync` of our store lets other threads run while it waits for the disk."""
    store = RocksStore.open(tmp_path / "database", limits=SMALL)
    writer = Writer(store)
    written = iter(range(1, 10_000))

    def write() -> None:
        writer.apply(commit(next(written), a="1"))
        store.sync()

    assert lets_others_run(write, 200)
    store.close()


def test_a_checkpoint_freezes_but_a_flush_does_not(raw: Raw, tmp_path: Path) -> None:
    """`create_checkpoint` keeps the interpreter lock; so `checkpoint` flushes before it."""
    names = iter(range(1_000))

    def copy() -> None:
        raw.fill(100)
        Checkpoint(raw.root).create_checkpoint(str(tmp_path / f"copy{next(names)}"))

    def flush() -> None:
        raw.fill(100)
        raw.family.flush()

    assert not lets_others_run(copy, 3)
    assert lets_others_run(flush, 50)


def test_the_default_recovery_drops_what_follows_damage(raw: Raw, tmp_path: Path) -> None:
    """Damage in the middle of the log is skipped with all after it: `base_options` refuses it."""
    raw.fill(200)
    left = left_by_a_kill(raw, tmp_path)
    (log,) = left.glob("*.log")
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 0xFF
    log.write_bytes(content)
    damaged = Raw(left)
    assert 0 < damaged.count() < 200
    damaged.close()


def test_a_missing_log_goes_unnoticed(raw: Raw, tmp_path: Path) -> None:
    """A log that is gone opens without its writes: hence tracked logs and the high water."""
    raw.fill(50)
    left = left_by_a_kill(raw, tmp_path)
    for log in left.glob("*.log"):
        log.unlink()
    damaged = Raw(left)
    assert damaged.count() == 0
    damaged.close()


def test_a_manifest_cut_short_goes_unnoticed(raw: Raw, tmp_path: Path) -> None:
    """A manifest without its last entries opens without their tables: hence its size is noted."""
    raw.fill(50)
    raw.family.flush()
    raw.fill(50, begin=50)
    raw.family.flush()
    left = left_by_a_kill(raw, tmp_path)
    (manifest,) = left.glob("MANIFEST-*")
    os.truncate(manifest, manifest.stat().st_size * 2 // 3)
    damaged = Raw(left)
    assert damaged.count() < 100
    damaged.close()


def test_a_missing_current_makes_an_empty_database(raw: Raw, tmp_path: Path) -> None:
    """`create_if_missing` begins anew over existing tables: we set it only when creating."""
    raw.fill(50)
    raw.family.flush()
    left = left_by_a_kill(raw, tmp_path)
    for path in (left / "CURRENT", *left.glob("*.log")):
        path.unlink()
    emptied = Raw(left)
    assert emptied.count() == 0
    emptied.close()


def test_iterators_hide_damage(raw: Raw, tmp_path: Path) -> None:
    """`keys` and `items` end early at damage without a word: only a cursor's status tells."""
    raw.fill(2_000)
    raw.family.flush()
    left = left_by_a_kill(raw, tmp_path)
    (table,) = left.glob("*.sst")
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 0xFF
    table.write_bytes(content)
    damaged = Raw(left)
    assert 0 < damaged.count() < 2_000
    assert 0 < len(list(damaged.family.items())) < 2_000
    cursor = damaged.family.iter()
    assert len(rows(cursor)) < 2_000
    with pytest.raises(Exception, match="Corruption"):
        cursor.status()
    del cursor
    damaged.close()


def test_errors_are_bare(raw: Raw, tmp_path: Path) -> None:
    """Everything raises plain `Exception`: `translation` reads the text."""
    del raw
    with pytest.raises(Exception, match="does not exist") as caught:
        Raw(tmp_path / "absent", create=False)
    assert type(caught.value) is Exception


def test_snapshots_do_not_bind_their_iterators(raw: Raw) -> None:
    """A snapshot's `iter` and `items` see later writes; only its `[]` does not. We use cursors."""
    raw.family.put(b"a", b"1")
    snapshot = raw.family.snapshot()
    cursor, items = raw.family.iter(), raw.family.items()
    raw.family.put(b"a", b"2")
    raw.family.put(b"b", b"2")
    assert snapshot[b"a"] == b"1"
    assert list(snapshot.items()) == [(b"a", b"2"), (b"b", b"2")]
    assert rows(snapshot.iter()) == [b"a", b"b"]
    assert rows(cursor) == [b"a"]
    assert next(iter(items))[0] == b"a"
    del snapshot, cursor, items


def test_the_lower_bound_sets_the_upper_bound(raw: Raw) -> None:
    """`set_iterate_lower_bound` bounds the other end: `engine` sets only upper bounds."""
    raw.fill(10)
    bounds = ReadOptions()
    bounds.set_iterate_lower_bound(b"000004")
    assert [int(key) for key in raw.family.keys(read_opt=bounds)] == [0, 1, 2, 3]
    bounds = ReadOptions()
    bounds.set_iterate_upper_bound(b"000004")
    found = raw.family.keys(from_key=b"000002", read_opt=bounds)
    assert [int(key) for key in found] == [2, 3]


def test_whatever_is_held_keeps_the_database_open(tmp_path: Path) -> None:
    """A handle, family or cursor left behind keeps the lock: `Tables.close` drops them all."""
    database = Raw(tmp_path / "raw")
    handle = database.root.get_column_family_handle(FAMILY)
    database.close()
    with pytest.raises(DbClosedError):
        database.family.get(b"a")
    with pytest.raises(Exception, match="lock hold by current process"):
        Raw(tmp_path / "raw")
    del handle
    Raw(tmp_path / "raw").close()


def test_closing_the_database_leaves_its_families_open(tmp_path: Path) -> None:
    """`close` on the database alone does not close: families are closed first."""
    database = Raw(tmp_path / "raw")
    database.root.close()
    database.family.put(b"a", b"1")
    assert database.family.get(b"a") == b"1"
    database.family.close()


def test_read_only_opening_writes_into_the_directory(raw: Raw, tmp_path: Path) -> None:
    """A read-only open writes a configuration file: hence `frozen` opens a folder of links."""
    raw.fill(5)
    left = left_by_a_kill(raw, tmp_path)
    (left / "rocksdict-config.json").unlink()
    access = AccessType.read_only(error_if_log_file_exist=False)
    reader = Rdict(str(left), options(), {FAMILY: options()}, access)
    family = reader.get_column_family(FAMILY)
    assert len(list(family.keys())) == 5
    assert (left / "rocksdict-config.json").exists()
    family.close()
    reader.close()


@pytest.mark.process
def test_tracked_logs_must_stay_tracked(tmp_path: Path) -> None:
    """Read-only without log tracking, RocksDB crashes on a directory that has it: never untrack."""
    store = RocksStore.open(tmp_path / "database", limits=SMALL)
    writer = Writer(store)
    for number in range(1, 3_000):
        writer.apply(commit(number, **{f"k{number}": "x" * 200}))
        store.sync()
    copy_as_left(tmp_path / "database", tmp_path / "left")
    store.close()
    program = f"""
from rocksdict import AccessType, Options, Rdict
families = {{name: Options(raw_mode=True) for name in ("newest", "history", "log", "state")}}
access = AccessType.read_only(error_if_log_file_exist=False)
Rdict({str(tmp_path / "left" / "tables")!r}, Options(raw_mode=True), families, access)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGSEGV


@pytest.mark.process
def test_freeing_an_inherited_database_hangs(raw: Raw) -> None:
    """A forked child that frees the engine waits for threads it has not: `disown` leaks it."""
    raw.fill(100)
    done, told = os.pipe()
    child = os.fork()
    if child == 0:
        raw.close()
        os.write(told, b"closed")
        os._exit(0)
    os.close(told)
    os.set_blocking(done, False)
    # The child can only hang or end; it is given the time of a thousand like closings.
    for _turn in range(20):
        database = Raw(Path(raw.root.path()).with_name("other"))
        database.fill(100)
        database.close()
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(done)
