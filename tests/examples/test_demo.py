"""The demo as a user runs it: on real files, with processes killed and runs interrupted."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

import fastness
from examples.files import service
from examples.files.demo import main
from examples.files.demo.checking import Checked, check_space
from examples.files.demo.killing import VictimFailed, kill_loading
from examples.files.demo.place import DATABASE, MARKER
from examples.files.demo.report import Results, print_report
from examples.files.demo.stages import LOADED
from examples.files.demo.verifying import Verdict
from examples.files.schema import ROOT, SCHEMA, SpaceId
from tests.examples.real_trees import make_tree

REPOSITORY = Path(__file__).resolve().parents[2]


def run_demo(path: Path, directory: Path, *, kills: int = 1, clients: int = 0) -> tuple[int, str]:
    """Run a small demo; its exit code and what it printed."""
    console = Console(file=io.StringIO(), width=200)
    code = main(
        path,
        directory,
        operations=300,
        workers=8,
        kills=kills,
        clients=clients,
        seed=1,
        console=console,
    )
    output = console.file
    assert isinstance(output, io.StringIO)
    return code, output.getvalue()


@pytest.fixture
def real_tree(tmp_path: Path) -> Path:
    """A small tree with everything a file system may hold."""
    return make_tree(tmp_path / "real tree")


@pytest.mark.process
def test_a_demo_passes_and_says_so(real_tree: Path, tmp_path: Path) -> None:
    """A run over a nasty tree passes every check and tells what it did."""
    code, output = run_demo(real_tree, tmp_path / "data", kills=2)
    assert code == 0, output
    for told in ("Loaded", "none lost", "operations/s", "p99.9", "sound", "Every check passed"):
        assert told in output
    assert output.count("SIGKILL after") == 2
    with fastness.open(f"file:{tmp_path / 'data' / DATABASE}", schema=SCHEMA) as db:
        found = service.lookup(db, LOADED, "real tree/docs/plans/plan.txt")
        assert found.size == 4


@pytest.mark.process
def test_a_demo_serves_and_kills_its_server(real_tree: Path, tmp_path: Path) -> None:
    """Clients go on over two deaths of the server, and everything about it is told."""
    code, output = run_demo(real_tree, tmp_path / "data", kills=0, clients=2)
    assert code == 0, output
    for told in ("2 client processes", "SIGKILL for the server 2 times", "each applied once"):
        assert told in output
    for told in ("consistency ratio 1;", "the server's /metrics", "fsync", "commits in"):
        assert told in output


@pytest.mark.process
def test_a_demo_runs_again(real_tree: Path) -> None:
    """A second run replaces the database of the first, and a tree around it leaves it out."""
    runs = [run_demo(real_tree, real_tree / "data", kills=0) for _ in range(2)]
    assert [code for code, _output in runs] == [0, 0], runs
    _code, output = runs[-1]
    assert "1 folders were not entered" in output


def test_an_empty_tree_passes(tmp_path: Path) -> None:
    """There is nothing to load, and nothing wrong with that."""
    (tmp_path / "tree").mkdir()
    code, output = run_demo(tmp_path / "tree", tmp_path / "data", kills=0)
    assert code == 0, output


def test_a_directory_of_others_is_refused(tmp_path: Path) -> None:
    """Whatever holds something else is left untouched."""
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "thesis.txt").write_text("years of work")
    code, output = run_demo(tmp_path, directory)
    assert code == 2
    assert "thesis.txt" in output
    assert [entry.name for entry in directory.iterdir()] == ["thesis.txt"]


def test_a_database_that_is_not_the_demos_is_refused(tmp_path: Path) -> None:
    """A directory named `database` does not make a directory the demo's."""
    database = tmp_path / "data" / DATABASE
    fastness.open(f"file:{database}").close()
    code, output = run_demo(tmp_path, tmp_path / "data")
    assert code == 2
    assert DATABASE in output
    assert database.is_dir()


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    """A file where the directory should go stays a file."""
    (tmp_path / "data").write_text("not a directory")
    code, output = run_demo(tmp_path, tmp_path / "data")
    assert code == 2
    assert "--directory" in output


@pytest.mark.parametrize("missing", ["nowhere", "file"])
def test_a_path_that_is_no_directory_is_refused(tmp_path: Path, missing: str) -> None:
    """Nothing is begun when there is nothing to load."""
    (tmp_path / "file").touch()
    code, output = run_demo(tmp_path / missing, tmp_path / "data")
    assert code == 2
    assert missing in output
    assert not (tmp_path / "data").exists()


def test_a_database_in_use_is_not_replaced(tmp_path: Path) -> None:
    """While a process has the database of an earlier demo open, another demo is refused."""
    (tmp_path / "tree").mkdir()
    run_demo(tmp_path / "tree", tmp_path / "data", kills=0)
    with fastness.open(f"file:{tmp_path / 'data' / DATABASE}", schema=SCHEMA) as db:
        code, output = run_demo(tmp_path / "tree", tmp_path / "data", kills=0)
        assert code == 2
        assert "in use" in output
        assert service.usage(db, LOADED).entries > 0


def test_a_damaged_database_is_replaced(tmp_path: Path) -> None:
    """What an interrupted or damaged demo left behind never stands in the way."""
    (tmp_path / "tree").mkdir()
    directory = tmp_path / "data"
    (directory / DATABASE).mkdir(parents=True)
    (directory / MARKER).touch()
    (directory / DATABASE / "CURRENT").write_text("nonsense")
    code, output = run_demo(tmp_path / "tree", directory, kills=0)
    assert code == 0, output


def test_failures_are_told() -> None:
    """Losses, problems and broken promises make a failed demo, and are printed."""
    assert Results(verdict=Verdict(lost=1, losses=["usr/bin/true"])).failures()
    results = Results(checked={"a space": Checked(1, 1, 0, ["a cycle [of two]"])})
    assert results.failures()
    console = Console(file=io.StringIO(), width=100)
    print_report(console, results, path=Path("tree"), database=Path("data"))
    output = console.file
    assert isinstance(output, io.StringIO)
    assert "1 checks failed" in output.getvalue()
    assert "a space: a cycle [of two]" in output.getvalue()


@pytest.mark.process
def test_a_killed_load_keeps_its_promises(real_tree: Path, tmp_path: Path) -> None:
    """After SIGKILL every acknowledged entry is there, and the space is sound."""
    url, space = f"file:{tmp_path / 'database'}", SpaceId(5)
    with fastness.open(url, schema=SCHEMA) as db:
        service.create_user(db, "ann")
        service.create_space(db, "ann", "home", quota=1 << 40, space=space)
    for number in range(3):
        killed = kill_loading(
            url, os.fsencode(real_tree), space, number=number, random=Random(number)
        )
        assert killed.problems == []
        assert killed.entries > 0
    with fastness.open(url, schema=SCHEMA) as db:
        assert len(service.list_folder(db, space, ROOT)) == 3
        assert check_space(db, space).problems == []


@pytest.mark.process
def test_a_victim_that_dies_by_itself_is_a_failure(tmp_path: Path) -> None:
    """A loading process that ends before it is killed is not taken for a killed one."""
    url, space = f"file:{tmp_path / 'database'}", SpaceId(5)
    with fastness.open(url, schema=SCHEMA) as db:
        service.create_user(db, "ann")
        service.create_space(db, "ann", "home", quota=1 << 40, space=space)
    with pytest.raises(VictimFailed, match="status 1"):
        kill_loading(url, b"nowhere", space, number=1, random=Random(0))


def start_demo(path: Path, directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """A demo in a process of its own."""
    places = ["--path", str(path), "--directory", str(directory)]
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "examples.files.demo", *places, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}", "COLUMNS": "200"},
    )


@pytest.mark.process
@pytest.mark.parametrize(
    ("after", "arguments"),
    [
        ("Verifying", ["--operations", "100000000", "--kills", "0"]),
        ("contending", ["--operations", "64", "--kills", "100000", "--clients", "0"]),
    ],
)
def test_an_interrupted_demo_leaves_a_usable_database(
    real_tree: Path, tmp_path: Path, after: str, arguments: list[str]
) -> None:
    """Ctrl-C while workers contend, or while a process is being killed: usable, and said so."""
    directory = tmp_path / "data"
    with start_demo(real_tree, directory, *arguments) as process:
        output = ""
        assert process.stdout is not None
        while after not in output:
            line = process.stdout.readline()
            assert line, output
            output += line
        process.send_signal(signal.SIGINT)
        output += process.stdout.read()
    assert process.returncode == 130, output
    assert "It is usable" in output
    assert "Traceback" not in output
    with fastness.open(f"file:{directory / DATABASE}", schema=SCHEMA) as db:
        assert check_space(db, LOADED).problems == []


def children(pid: int) -> dict[int, str]:
    """The living children of a process, and their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # No process, or ended just now.
        if int(status[1]) == pid and status[0] != "Z":
            found[int(entry.name)] = line
    return found


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("busy_with", ["serve", "customer"])
def test_an_interrupted_demo_leaves_no_process(
    real_tree: Path, tmp_path: Path, busy_with: str
) -> None:
    """Ctrl-C while the server starts, or while its clients work: all of them are gone."""
    directory = tmp_path / "data"
    with start_demo(real_tree, directory, "--operations", "5000", "--kills", "0") as process:
        seen: dict[int, str] = {}
        while not any(busy_with in line for line in seen.values()):
            assert process.poll() is None, process.communicate()
            seen |= children(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 130, output
    assert "It is usable" in output
    assert "Traceback" not in output
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen)
