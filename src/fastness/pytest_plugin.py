"""Fixtures for services that use Fastness; registered with pytest by the package's entry point.

===================  ============================================================================
fastness_db          an empty `Database`, of this test alone
fastness_async_db    the same database for tasks: `async with fastness_async_db() as db`
fastness_schema      record classes to register: override it
fastness_limits      the limits to open with, those of production: override it
fastness_clock       a clock to move, where the engine allows
fastness_faults      what the next commits and reads meet
fastness_server      a real server process, one for the session
fastness_engine      what `--fastness-engine` says
===================  ============================================================================

Every run of pytest where Fastness is installed imports this module, so it leaves everything else of
the package to the first fixture that a test asks for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastness import AsyncDatabase, Database, Limits
    from fastness.model import Record
    from fastness.runtime import ManualClock
    from fastness.testing.kit import Faults, Home, ServerProcess

ENGINES = ("memory", "file", "server")
SCHEMES = ("fastness://", "fastness+unix://")
_SETTING = "fastness_engine"
_MEANING = (
    "where the databases of tests are: memory, file, server (one process for the session), or "
    "the URL of a server that runs"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the setting of the same name."""
    group = parser.getgroup("fastness")
    group.addoption("--fastness-engine", default=None, metavar="ENGINE", help=_MEANING)
    parser.addini(_SETTING, _MEANING, default="memory")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an engine that is none before a test is collected."""
    engine = _engine_of(config)
    if engine not in ENGINES and not engine.startswith(SCHEMES):
        raise pytest.UsageError(
            f"--fastness-engine {_hidden(engine)!r} is no engine: choose one of "
            f"{', '.join(ENGINES)}, or give the URL of a server, such as fastness://127.0.0.1:3278"
        )


def _kit() -> Any:  # noqa: ANN401 - a module
    """The kit, imported at its first use."""
    return importlib.import_module("fastness.testing.kit")


def _hidden(url: str) -> str:
    """A URL without its secrets."""
    return str(importlib.import_module("fastness.client.urls").hidden(url))


def _engine_of(config: pytest.Config) -> str:
    return str(config.getoption("--fastness-engine") or config.getini(_SETTING))


@pytest.fixture(scope="session")
def fastness_engine(pytestconfig: pytest.Config) -> str:
    """What was chosen: "memory", "file", "server" or a URL."""
    return _engine_of(pytestconfig)


@pytest.fixture(scope="session")
def fastness_server() -> Iterator[ServerProcess]:
    """A server over memory in a process of its own, until the session ends."""
    server: ServerProcess = _kit().ServerProcess()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def fastness_schema() -> Sequence[type[Record]]:
    """The record classes of `fastness_db`: none. Override it in your conftest."""
    return ()


@pytest.fixture
def fastness_limits() -> Limits | None:
    """The limits of `fastness_db`: those of production. Override it to reach them sooner."""
    return None


@pytest.fixture
def fastness_clock(fastness_engine: str) -> ManualClock:
    """The clock of `fastness_db`, which stands still until the test moves it.

    It begins at the machine's time. A server has a clock of its own, so there the test is skipped.
    """
    if fastness_engine not in {"memory", "file"}:
        pytest.skip("a server has its own clock: run with --fastness-engine memory or file")
    runtime = importlib.import_module("fastness.runtime")
    clock: ManualClock = runtime.ManualClock(wall_ms=runtime.SystemClock().wall_ms())
    return clock


@pytest.fixture
def fastness_faults() -> Faults:
    """What the next commits and reads of the test's databases meet: nothing, until told."""
    faults: Faults = _kit().Faults()
    return faults


@pytest.fixture
def fastness_home(
    request: pytest.FixtureRequest,
    fastness_engine: str,
    fastness_schema: Sequence[type[Record]],
    fastness_limits: Limits | None,
) -> Iterator[Home]:
    """Where the database of this test lives; both faces come from it."""
    kit = _kit()
    # Only a test that asks for them gets the layer of faults, or a clock that stands still.
    wanted = request.fixturenames
    wish = kit.Wish(
        schema=fastness_schema,
        limits=fastness_limits,
        clock=request.getfixturevalue("fastness_clock") if "fastness_clock" in wanted else None,
        faults=request.getfixturevalue("fastness_faults") if "fastness_faults" in wanted else None,
    )
    if fastness_engine == "server":
        url = request.getfixturevalue("fastness_server").url
    elif fastness_engine in ENGINES:
        url = kit.url_of(fastness_engine, request.getfixturevalue("tmp_path") / "fastness")
    else:
        url = fastness_engine
    home: Home = kit.home_at(url, wish)
    try:
        yield home
    finally:
        home.close()


@pytest.fixture
def fastness_db(fastness_home: Home) -> Database:
    """An empty database of this test alone."""
    return fastness_home.database()


@pytest.fixture
def fastness_async_db(
    fastness_home: Home,
) -> Callable[[], AbstractAsyncContextManager[AsyncDatabase]]:
    """What opens the same for tasks, under any asyncio plugin or none, by `async with`.

    It is opened in the loop that runs the block, and shows the database of `fastness_db`.
    """
    return fastness_home.async_database
