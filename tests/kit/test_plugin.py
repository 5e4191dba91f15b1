"""The plugin under pytest itself: each test here writes a suite as a user would, and runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import fastness

# The runs of pytest inside this process find it loaded.
import fastness.testing.kit
from tests.client.servers import RunningServer

pytest_plugins = ["pytester"]

PLUGIN = "fastness.pytest_plugin"
"""Not imported here: pytest imports its plugins itself, to rewrite what they assert."""

ENGINES = ("memory", "file", "server")

Run = Callable[..., pytest.RunResult]

ISOLATED = """
import pytest

@pytest.mark.parametrize("turn", [1, 2, 3])
def test_empty(fastness_db, turn):
    assert list(fastness_db.scan_all(b"", b"\\xff")) == []
    fastness_db.set(b"key", b"%d" % turn)
    assert fastness_db.get(b"key") == b"%d" % turn
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a suite under the plugin and no other; warnings are errors, as in this suite."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def started(code: str, *words: str, conftest: str = "") -> pytest.RunResult:
        pytester.makepyfile(test_suite=code)
        if conftest:
            pytester.makeconftest(conftest)
        plugin = ("-p", PLUGIN)
        return pytester.runpytest_inprocess(*plugin, "-W", "error", *words)

    return started


@pytest.mark.process
@pytest.mark.parametrize("engine", ENGINES)
def test_each_test_has_an_empty_database(run: Run, engine: str) -> None:
    """What a test wrote no other test finds, on any engine."""
    run(ISOLATED, "--fastness-engine", engine).assert_outcomes(passed=3)


def test_a_server_that_runs_is_used_and_left_empty(run: Run) -> None:
    """By URL: each test in a key space of its own, of which nothing is left afterwards."""
    with RunningServer() as server, fastness.open(server.url) as database:
        database.set(b"theirs", b"untouched")
        run(ISOLATED, f"--fastness-engine={server.url}").assert_outcomes(passed=3)
        assert list(database.scan_all(b"", b"\xff")) == [(b"theirs", b"untouched")]


def test_the_engine_may_stand_in_the_ini_file(pytester: pytest.Pytester, run: Run) -> None:
    """The setting is used where there is no option, which wins over it."""
    code = """
def test_engine(fastness_db, fastness_engine):
    assert fastness_db.stat().url.partition(":")[0] == fastness_engine
"""
    pytester.makeini("[pytest]\nfastness_engine = file\n")
    run(code).assert_outcomes(passed=1)
    pytester.makeini("[pytest]\nfastness_engine = server\n")
    run(code, "--fastness-engine=memory").assert_outcomes(passed=1)


def test_an_engine_that_is_none(run: Run) -> None:
    """It is refused before anything runs, with those there are."""
    result = run(ISOLATED, "--fastness-engine=postgres")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'postgres' is no engine*memory, file, server*"])
    result = run(ISOLATED, "--fastness-engine=fastnes://host/?token=secret")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.no_fnmatch_line("*secret*")


@pytest.mark.process
@pytest.mark.parametrize("engine", ENGINES)
def test_both_faces_show_one_database(run: Run, engine: str) -> None:
    """A test prepares by one face and acts by the other, with records of the schema fixture."""
    conftest = """
import pytest
from fastness.model import Entity

class Person(Entity, key="id"):
    id: str

@pytest.fixture
def fastness_schema():
    return [Person]

@pytest.fixture
def person():
    return Person
"""
    code = """
import asyncio

def test_faces(fastness_db, fastness_async_db, person):
    fastness_db.run(lambda tx: tx.insert(person(id="ann")))

    async def scenario():
        async with fastness_async_db() as db:
            async with db.transaction() as tx:
                await tx.insert(person(id="bob"))
            return await db.run(lambda tx: tx.fetch(person, "ann"))

    assert asyncio.run(scenario()) == person(id="ann")
    assert fastness_db.run(lambda tx: tx.fetch(person, "bob")) == person(id="bob")

def test_async_alone(fastness_async_db, person):
    async def scenario():
        async with fastness_async_db() as db:
            assert await db.run(lambda tx: tx.fetch(person, "ann")) is None
        async with fastness_async_db() as db:
            await db.set(b"k", b"v")

    asyncio.run(scenario())
"""
    run(code, "--fastness-engine", engine, conftest=conftest).assert_outcomes(passed=2)


def test_the_clock_moves_what_expires(run: Run) -> None:
    """With the clock fixture time stands still, until the test lets it pass."""
    code = """
def test_expiry(fastness_db, fastness_clock):
    end = fastness_db.now() + (1_000 << 18)
    fastness_db.set(b"session", b"ann", expires_at=end)
    fastness_clock.advance(milliseconds=500)
    fastness_db.set(b"other", b"")
    assert fastness_db.get(b"session") == b"ann"
    fastness_clock.advance(milliseconds=1_000)
    fastness_db.set(b"other", b"")
    assert fastness_db.get(b"session") is None
"""
    run(code, "--fastness-engine=memory").assert_outcomes(passed=1)
    run(code, "--fastness-engine=file").assert_outcomes(passed=1)
    with RunningServer() as server:
        run(code, f"--fastness-engine={server.url}").assert_outcomes(skipped=1)


@pytest.mark.process
@pytest.mark.parametrize("engine", ENGINES)
def test_faults_are_met_by_both_faces(run: Run, engine: str) -> None:
    """The plan of a test is met by its databases, and gone with it."""
    code = """
import asyncio
import pytest
from fastness.errors import Conflict, Unreachable

def test_faults(fastness_db, fastness_async_db, fastness_faults):
    fastness_faults.conflict()
    with pytest.raises(Conflict), fastness_db.transaction() as tx:
        tx.set(b"k", b"v")
    fastness_faults.conflict(times=3)
    fastness_db.set(b"k", b"v")

    async def scenario():
        async with fastness_async_db() as db:
            fastness_faults.unreachable()
            with pytest.raises(Unreachable):
                await db.get(b"k")
            assert await db.get(b"k") == b"v"

    asyncio.run(scenario())
    fastness_faults.conflict(times=100)

def test_none(fastness_db):
    with fastness_db.transaction() as tx:
        tx.set(b"k", b"v")
"""
    run(code, "--fastness-engine", engine).assert_outcomes(passed=2)


def test_limits_can_be_shrunk(run: Run) -> None:
    """A suite may reach its limits sooner; without that they are those of production."""
    code = """
import pytest
import fastness

@pytest.fixture
def small(fastness_limits):
    return fastness_limits

class TestSmall:
    @pytest.fixture
    def fastness_limits(self):
        return fastness.Limits(value_bytes=4)

    def test_small(self, fastness_db):
        with pytest.raises(fastness.errors.LimitExceeded):
            fastness_db.set(b"k", b"12345")

def test_production(fastness_db):
    assert fastness_db.limits == fastness.Limits()
"""
    run(code).assert_outcomes(passed=2)


def test_a_database_that_the_test_closed(run: Run) -> None:
    """A test may close its database itself."""
    code = """
def test_close(fastness_db):
    fastness_db.set(b"k", b"v")
    fastness_db.close()
"""
    run(code).assert_outcomes(passed=1)
    with RunningServer() as server:
        run(code, f"--fastness-engine={server.url}").assert_outcomes(passed=1)


def test_the_package_registers_the_plugin() -> None:
    """The entry point names the module, which imports nothing else of the package."""
    declared = tomllib.loads(Path("pyproject.toml").read_text())["project"]["entry-points"]
    assert declared["pytest11"] == {"fastness": PLUGIN}
    code = """
import sys
import fastness.pytest_plugin
print([name for name in sys.modules if name.partition(".")[0] in {"fastness", "msgspec"}])
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.stdout.strip() == b"['fastness', 'fastness.pytest_plugin']"
