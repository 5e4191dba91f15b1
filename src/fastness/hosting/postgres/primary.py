"""The primary of a store, as long as it is one: found, believed after a barrier, dropped in doubt.

::

    away --find the primary, check its settings, commit a barrier--> here
    here --a connection is lost, a warning, an old answer----------> away: all are dropped
    here --something takes long, and another is primary now--------> away

The barrier is a row committed synchronously. A primary that came back from a crash shows commits
its standby never had, and one whose wait was cancelled does too; once the barrier is on the
standby, so is everything before it. Until then nothing that primary says is believed.

A *generation* is the time from one barrier to the next drop. An answer that arrives in another
generation than its question was sent in is not heard.

Nothing here has a time limit that ends a commit. Time only makes us look whether another server
has become the primary: then the connections to the old one are cut, and it does what it will.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from fastness.errors import (
    DatabaseClosed,
    DiskFull,
    FastnessError,
    ForeignStore,
    StoreError,
    StoreUnavailable,
    Unreachable,
)
from fastness.hosting.postgres import preparing
from fastness.hosting.postgres.checks import check_commits, check_server, check_standbys
from fastness.hosting.postgres.connecting import (
    Found,
    Instance,
    connect,
    find_primary,
    hosts_of,
    set_session,
    shown,
)
from fastness.hosting.postgres.failures import translated
from fastness.runtime.process import Process

STALL_S = 1.0
"""What takes longer than this has us look whether there is another primary."""
PULSE_S = 0.5
"""Between two looks at the primary."""
RETRY_S = 0.1
RETRY_S_MAX = 1.0
"""Between two tries to find a primary; twice as long after each that fails."""

_BARRIER = "UPDATE fastness.store SET barrier = barrier + 1"
_WHO = """
SELECT concat_ws(' ', inet_server_addr(), inet_server_port(), pg_postmaster_start_time()),
    pg_is_in_recovery()
"""
_ABOUT_COMMITS = """
SELECT s.reset_val AS commits, current_setting('synchronous_standby_names') AS standbys
FROM pg_settings s WHERE s.name = 'synchronous_commit'
"""


class Line(Protocol):
    """A connection to the primary that somebody else has."""

    def is_stalled(self) -> bool:
        """Whether what is under way has been for long."""
        ...

    def cut(self) -> None:
        """End it at once; the server is not told to stop."""
        ...


_log = logging.getLogger("fastness.hosting.postgres")


class Primary:
    """See the module's page. Made by `reach`; used on one loop."""

    def __init__(
        self, process: Process, dsn: str, *, cluster_id: str, allow_unreplicated: bool
    ) -> None:
        self.generation = 0
        self.refusal: FastnessError | None = None
        """Why nothing can be written for now, as far as is known."""
        self.identity: preparing.Identity | None = None
        self.drops = 0
        """How often every connection was dropped."""
        self.instance: Instance | None = None
        """Who is primary, `None` while nobody is believed."""
        self._process = process
        self._dsn = dsn
        self._hosts = hosts_of(dsn)
        self._cluster_id = cluster_id
        self._allow_unreplicated = allow_unreplicated
        self._found: Found | None = None
        """The connection the primary is watched over."""
        self._changed = asyncio.Event()
        self._here = asyncio.Event()
        self._lanes: list[Line] = []
        self._closed = False
        self._tending: asyncio.Task[None] | None = None

    async def reach(self) -> None:
        """Find the primary for the first time; raises why it cannot be used."""
        await self._arrive()
        self._tending = self._process.spawn(self._tend(), name="fastness store: primary")

    async def close(self) -> None:
        """Cut every connection. Idempotent."""
        self._closed = True
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        self._drop_all()

    def serve(self, lane: Line) -> None:
        """Cut a connection with the others from now on, and see whether it is stalled."""
        self._lanes.append(lane)

    def drop(self, generation: int, why: str) -> None:
        """Cut every connection to a primary that is not to be believed any more."""
        if generation == self.generation and self.instance is not None:
            _log.warning("the connections to %s are dropped: %s", self.instance, why)
            self._drop_all()

    def look(self) -> None:
        """See to the primary now, not only when the time has come."""
        self._changed.set()

    async def connected(self, patience_s: float) -> int:
        """Wait until somebody is believed to be primary; the generation."""
        if self._closed:
            raise DatabaseClosed("the store was closed: open it again")
        if not self._here.is_set():
            try:
                async with asyncio.timeout(patience_s):
                    await self._here.wait()
            except TimeoutError:
                raise Unreachable(
                    f"no primary of {shown(self._dsn)} was found in {patience_s:g} s: "
                    f"{self.refusal or 'the search goes on'}"
                ) from None
        return self.generation

    async def another_connection(self, generation: int) -> Any:  # noqa: ANN401 - no types
        """One more connection to the primary of a generation, ready to use."""
        found = self._found
        if found is None or generation != self.generation:
            raise Unreachable("the primary was dropped meanwhile")
        connection = await connect(self._dsn, found.host)
        try:
            await set_session(connection, found.instance.version)
            server, follows = await connection.fetchrow(_WHO)
        except BaseException:
            connection.terminate()
            raise
        if server != found.instance.server or follows:
            self.drop(generation, f"{server} answers in its place")
        if generation != self.generation:
            connection.terminate()
            raise Unreachable("the primary was dropped meanwhile")
        return connection

    # ------------------------------------------------------------ finding it

    async def _arrive(self) -> None:
        """Find a primary that keeps its promises, and have it commit a barrier."""
        found = await find_primary(self._dsn, self._hosts)
        try:
            await check_server(
                found.connection,
                found.instance.version,
                allow_unreplicated=self._allow_unreplicated,
            )
            identity = await preparing.bring_up_to_date(found.connection, self._cluster_id)
            self._check_same(identity)
            await set_session(found.connection, found.instance.version)
            await self._barrier(found)
        except BaseException as error:
            found.connection.terminate()
            if isinstance(error, Exception):
                raise translated(error, "reaching the primary") from error
            raise
        self.identity = identity
        self.instance = found.instance
        self._found = found
        self.refusal = None
        found.connection.add_termination_listener(self._ended)
        self._here.set()

    def _check_same(self, identity: preparing.Identity) -> None:
        if self.identity not in {None, identity}:
            raise ForeignStore(
                f"another store than before answers at {shown(self._dsn)}, {identity.store_id}: "
                "name the servers of one store only"
            )

    async def _barrier(self, found: Found) -> None:
        """Commit one synchronously; only the end of the connection ends the wait."""
        connection = found.connection
        warnings: list[object] = []

        def warned(_connection: object, message: object) -> None:
            warnings.append(message)

        connection.add_log_listener(warned)
        try:
            await self._answer(found, connection.execute(_BARRIER))
        finally:
            connection.remove_log_listener(warned)
        if warnings:
            raise Unreachable(f"a barrier was not replicated: {warnings[0]}")
        about = await connection.fetchrow(_ABOUT_COMMITS)
        check_commits(about["commits"])
        check_standbys(about["standbys"], allow_unreplicated=self._allow_unreplicated)

    async def _answer(self, found: Found, asked: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - no types
        """What a primary answers, however long it takes; `Unreachable` if another replaces it."""
        answer = asyncio.ensure_future(asked)
        try:
            while not (await asyncio.wait({answer}, timeout=STALL_S))[0]:
                await self._check_not_replaced(found.instance)
        finally:
            if not answer.done():
                found.connection.terminate()
                await asyncio.gather(answer, return_exceptions=True)
        return await answer

    async def _check_not_replaced(self, known: Instance) -> None:
        other = await self._replacement(known)
        if other is not None:
            raise Unreachable(f"{known} was replaced by {other}")

    async def _replacement(self, known: Instance) -> Instance | None:
        """Another server that is primary now; `None` where the known one still is, or nobody."""
        try:
            found = await find_primary(self._dsn, self._hosts)
        except FastnessError as error:
            self.refusal = _as_refusal(error)
            return None
        found.connection.terminate()
        if found.instance.timeline < known.timeline or found.instance == known:
            return None
        return found.instance

    # ------------------------------------------------------------ keeping it

    async def _tend(self) -> None:
        """Find a primary whenever there is none, and watch the one there is."""
        pause_s = RETRY_S
        while True:
            try:
                if self.instance is None:
                    await self._arrive()
                    _log.warning("%s is the primary now", self.instance)
                else:
                    await self._watch()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the search goes on
                told = translated(error, "reaching the primary")
                if self.instance is not None:
                    self.drop(self.generation, str(told))
                elif isinstance(told, FastnessError) and str(told) != str(self.refusal):
                    _log.warning("no primary: %s", told)
                self.refusal = _as_refusal(told)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_S_MAX)
            else:
                pause_s = RETRY_S
                await self._pause()

    async def _pause(self) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(PULSE_S if self.instance is not None else 0.0):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _watch(self) -> None:
        """Ask the primary how it is; look for another where that, or anything, takes long."""
        found = self._found
        if found is None:
            return
        about = await self._answer(found, found.connection.fetchrow(_ABOUT_COMMITS))
        check_commits(about["commits"])
        check_standbys(about["standbys"], allow_unreplicated=self._allow_unreplicated)
        if isinstance(self.refusal, DiskFull):
            # Reads go on meanwhile.
            with suppress(asyncpg.DiskFullError):
                await self._answer(found, found.connection.execute(_BARRIER))
                self.refusal = None
                _log.warning("writes are tried again")
        else:
            self.refusal = None
        if any(lane.is_stalled() for lane in self._lanes):
            await self._check_not_replaced(found.instance)

    def _ended(self, _connection: object) -> None:
        """The connection the primary is watched over has ended."""
        if self._found is not None and self._found.connection is _connection:
            self.drop(self.generation, "its connection ended")

    def _drop_all(self) -> None:
        self.generation += 1
        self.drops += 1
        self.instance = None
        self._here.clear()
        found, self._found = self._found, None
        if found is not None:
            found.connection.terminate()
        for lane in self._lanes:
            lane.cut()
        self._changed.set()


def _as_refusal(error: Exception) -> FastnessError:
    """Why writes fail, as those who would write are told: nothing is wrong with their call."""
    if isinstance(error, Unreachable | StoreError):
        return error
    return StoreUnavailable(f"the store's primary is unfit: {error}")
