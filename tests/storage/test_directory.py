"""What a directory is, who owns it, and what is done with one that is not ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.errors import (
    DatabaseClosed,
    DirectoryHeld,
    ForeignStore,
    StoreDamaged,
    StoreUnavailable,
)
from fastness.storage import InspectedStore, RocksStore
from fastness.storage.rocksdb.identity import FORMAT, Identity, decode_identity
from tests.storage.conformance import seen
from tests.storage.homes import (
    ALL_KEYS,
    SMALL,
    RocksHome,
    Writer,
    child_environment,
    commit,
)


def rewrite_identity(path: Path, **fields: object) -> None:
    """Change fields of an identity file."""
    file = path / "FASTNESS"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


@pytest.fixture
def closed(rocks_home: RocksHome) -> Path:
    """A directory with one key, closed."""
    store = rocks_home.open()
    Writer(store).apply(commit(1, a="1"))
    store.close()
    return rocks_home.path


def test_a_directory_is_made_where_there_is_none(tmp_path: Path) -> None:
    """Missing parents are made, and an empty directory will do."""
    path = tmp_path / "some" / "where"
    RocksStore.open(path, limits=SMALL).close()
    empty = tmp_path / "empty"
    empty.mkdir()
    RocksStore.open(empty, limits=SMALL).close()
    described = json.loads((empty / "FASTNESS").read_text())
    assert (described["program"], described["format"], described["state"]) == (
        "fastness",
        FORMAT,
        "complete",
    )


def test_a_strangers_directory_is_left_alone(tmp_path: Path) -> None:
    """A directory that holds anything else is refused, and nothing is put into it."""
    (tmp_path / "thesis.tex").write_text("x")
    for opening in (RocksStore.open, InspectedStore.open):
        with pytest.raises(ForeignStore, match=r"thesis\.tex"):
            opening(tmp_path, limits=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """A path that is a file is refused."""
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ForeignStore, match="is a file"):
        RocksStore.open(file, limits=SMALL)


def test_another_program_is_named(closed: Path) -> None:
    """An identity file of another program says which."""
    rewrite_identity(closed, program="slowness")
    with pytest.raises(ForeignStore, match="slowness"):
        RocksStore.open(closed, limits=SMALL)


@pytest.mark.parametrize(
    ("found", "rule"), [(FORMAT + 1, "wrote it"), (FORMAT - 1, "older version")]
)
def test_another_format_tells_the_way_out(closed: Path, found: int, rule: str) -> None:
    """A newer or older format is refused with the rule for going up or down."""
    rewrite_identity(closed, format=found)
    for opening in (RocksStore.open, InspectedStore.open):
        with pytest.raises(ForeignStore, match=rule):
            opening(closed, limits=SMALL)


def test_another_engine_is_named(closed: Path) -> None:
    """A directory of an engine this version does not know is refused."""
    rewrite_identity(closed, engine="cards")
    with pytest.raises(ForeignStore, match="cards"):
        RocksStore.open(closed, limits=SMALL)


def test_tables_of_another_directory_are_refused(closed: Path, tmp_path: Path) -> None:
    """Tables moved in from another database are found out."""
    other = tmp_path / "other"
    RocksStore.open(other, limits=SMALL).close()
    for name in ("tables", "HIGHWATER"):
        target = closed / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        (other / name).rename(target)
    for opening in (RocksStore.open, InspectedStore.open):
        with pytest.raises(ForeignStore, match="mixed up"):
            opening(closed, limits=SMALL)


@pytest.mark.parametrize("name", ["FASTNESS", "HIGHWATER"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"{}", b"\xff\xfe"])
def test_damaged_small_files_are_refused(closed: Path, name: str, content: bytes | None) -> None:
    """Without its identity or its high water a directory is not opened, nor made anew."""
    file = closed / name
    kept = file.read_bytes()
    file.unlink() if content is None else file.write_bytes(content)
    for opening in (RocksStore.open, InspectedStore.open):
        with pytest.raises((StoreDamaged, ForeignStore), match=name):
            opening(closed, limits=SMALL)
    file.write_bytes(kept)
    store = RocksStore.open(closed, limits=SMALL)
    assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"a": "1"}
    store.close()


@given(st.binary(max_size=200) | st.from_type(Identity).map(repr).map(str.encode))
def test_any_identity_file_decodes_or_is_refused(content: bytes) -> None:
    """The identity file's decoder answers any bytes with an identity or a typed error."""
    try:
        found = decode_identity(content, Path("FASTNESS"))
    except (StoreDamaged, ForeignStore):
        return
    assert found.program == "fastness"


def test_a_creation_cut_short_is_begun_again(tmp_path: Path) -> None:
    """A directory whose creation was interrupted holds nothing and is finished."""
    RocksStore.open(tmp_path / "a", limits=SMALL).close()
    rewrite_identity(tmp_path / "a", state="creating")
    shutil.rmtree(tmp_path / "a" / "tables")
    (tmp_path / "a" / "HIGHWATER").unlink()
    with pytest.raises(ForeignStore, match="no database yet"):
        InspectedStore.open(tmp_path / "a", limits=SMALL)
    store = RocksStore.open(tmp_path / "a", limits=SMALL)
    Writer(store).apply(commit(1, a="1"))
    store.close()
    store = RocksStore.open(tmp_path / "a", limits=SMALL)
    assert store.applied == 1
    store.close()


def test_a_second_opening_in_this_process_is_refused(closed: Path) -> None:
    """A directory already open here is refused, and says that it is open here."""
    store = RocksStore.open(closed, limits=SMALL)
    with pytest.raises(DirectoryHeld, match="already open in this process"):
        RocksStore.open(closed, limits=SMALL)
    assert store.newest(b"a") is not None
    store.close()
    RocksStore.open(closed, limits=SMALL).close()


@pytest.mark.process
def test_another_process_is_named(closed: Path) -> None:
    """A directory held elsewhere is refused with the holder's process and command."""
    program = (
        "import sys; from pathlib import Path; from fastness.storage import RocksStore\n"
        f"store = RocksStore.open(Path({str(closed)!r})); print('open', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(
            DirectoryHeld, match=rf"process {holder.pid} .*-c.*write through that process"
        ):
            RocksStore.open(closed, limits=SMALL)
        inspected = InspectedStore.open(closed, limits=SMALL)
        assert inspected.newest(b"a") is not None
        inspected.close()
        holder.kill()
    RocksStore.open(closed, limits=SMALL).close()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"{}", b"\xff"])
def test_a_nameless_holder_still_holds(closed: Path, content: bytes) -> None:
    """The file that tells who holds a directory may be damaged; the lock holds all the same."""
    store = RocksStore.open(closed, limits=SMALL)
    (closed / "OWNER").write_bytes(content)
    with pytest.raises(DirectoryHeld, match="another process"):
        RocksStore.open(closed, limits=SMALL)
    store.close()


def in_child(check: Callable[[], bool]) -> int:
    """Run a check in a forked child that then ends as a program does; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            good = check()
        except BaseException:  # noqa: BLE001 - nothing may escape into the parent's test run
            good = False
        os._exit(0 if good else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def refuses(call: Callable[[], object]) -> bool:
    """Whether a call says that it was inherited through a fork."""
    try:
        call()
    except DatabaseClosed as error:
        return "fork" in str(error)
    return False


@pytest.mark.process
def test_a_forked_child_is_refused(closed: Path) -> None:
    """An inherited store refuses in the child, and the parent keeps its lock and its data."""
    store = RocksStore.open(closed, limits=SMALL)
    writer = Writer(store)
    bound = store.newest
    found = bound(b"a")

    def check() -> bool:
        refused = (
            refuses(lambda: store.newest(b"a"))
            and refuses(store.sync)
            and refuses(lambda: writer.apply(commit(2, a="2")))
            # A copy of the call made before reads what there was; closing it would hang.
            and bound(b"a") == found
        )
        store.close()
        return refused

    assert in_child(check) == 0
    writer.apply(commit(2, a="2"))
    store.sync()
    with pytest.raises(DirectoryHeld):
        RocksStore.open(closed, limits=SMALL)
    store.close()
    store = RocksStore.open(closed, limits=SMALL)
    assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"a": "2"}
    store.close()


@pytest.mark.process
def test_a_fork_while_another_thread_writes(closed: Path) -> None:
    """A fork in the middle of a write leaves no lock taken in the child."""
    entered, leave = threading.Event(), threading.Event()

    def hook(_step: object) -> None:
        if not entered.is_set():
            return
        leave.wait()

    store = RocksStore.open(closed, limits=SMALL, faults=hook)
    writer = Writer(store)
    entered.set()
    thread = threading.Thread(target=lambda: writer.apply(commit(2, a="2")))
    thread.start()

    def check() -> bool:
        store.close()
        return refuses(store.sync)

    assert in_child(check) == 0
    leave.set()
    thread.join()
    store.close()


@pytest.mark.process
def test_a_child_may_outlive_its_parents_store(closed: Path) -> None:
    """A child that lives on does not keep the directory locked once the parent closed it."""
    store = RocksStore.open(closed, limits=SMALL)
    stop, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(stop, 1)
        os._exit(0)
    os.close(stop)
    store.close()
    RocksStore.open(closed, limits=SMALL).close()
    os.close(go)
    assert os.waitpid(child, 0)[1] == 0


FORKING = """
import os, signal, sys
from pathlib import Path
from fastness.storage import RocksStore
store = RocksStore.open(Path(sys.argv[1]))
child = os.fork()
if sys.argv[2] == "ends" and child == 0:
    sys.exit(7)
if sys.argv[2] == "ends":
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    store.close()
elif child == 0:
    print("child", flush=True)
    sys.stdin.read()
else:
    sys.stdout.flush()
    os.waitid(os.P_PID, child, os.WEXITED)
"""


@pytest.mark.process
def test_a_child_may_end_as_programs_do(closed: Path) -> None:
    """A child that ends by itself frees what it inherited, and hangs in none of it."""
    command = [sys.executable, "-c", FORKING, str(closed), "ends"]
    ended = subprocess.run(
        command, env=child_environment(), capture_output=True, timeout=60, check=True
    )
    assert ended.stdout == b"7\n"


@pytest.mark.process
def test_a_child_does_not_hold_what_its_killed_parent_held(closed: Path) -> None:
    """A child that outlives its killed parent does not keep the directory locked."""
    command = [sys.executable, "-c", FORKING, str(closed), "lives"]
    with subprocess.Popen(
        command, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"child\n"
        with pytest.raises(DirectoryHeld, match=f"process {parent.pid} "):
            RocksStore.open(closed, limits=SMALL)
        parent.kill()
        parent.wait()
        RocksStore.open(closed, limits=SMALL).close()


@pytest.mark.process
def test_a_child_cannot_open_a_database(closed: Path, tmp_path: Path) -> None:
    """A child whose parent used RocksDB is told to start afresh, where it would hang."""
    store = RocksStore.open(closed, limits=SMALL)
    assert in_child(lambda: refuses(lambda: RocksStore.open(tmp_path / "own", limits=SMALL))) == 0
    store.close()
    assert in_child(lambda: refuses(lambda: InspectedStore.open(closed, limits=SMALL))) == 0


def test_a_copied_call_refuses_after_a_failure(rocks_home: RocksHome) -> None:
    """A copy of `newest` made before a failure refuses too, and `failure` tells why."""
    fail = False

    def hook(_step: object) -> None:
        if fail:
            raise OSError(5, "Input/output error")

    store = rocks_home.open(hook)
    writer = Writer(store)
    copied = store.newest
    fail = True
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        writer.apply(commit(1, a="1"))
    with pytest.raises(Exception, match="closed") as caught:
        copied(b"a")
    assert isinstance(store.failure(caught.value), StoreUnavailable)
    fail = False
    store.close()
    RocksStore.open(rocks_home.path, limits=SMALL).close()
