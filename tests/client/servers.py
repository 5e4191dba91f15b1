"""A real server in a thread of its own, behind a socket, for clients of every kind.

It runs on a loop of its own, so clients may block, and share nothing with it but the socket.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self, TypeVar

from fastness.limits import Limits
from fastness.node import Gate, ServerNode
from fastness.runtime import Clock
from fastness.storage import MemoryStore, Store
from fastness.transport import Authenticate, Grant, NetworkProcess, Peer, Role, bind, node_address

T = TypeVar("T")

PATIENCE_SECONDS = 30.0


def admit_all(_credential: str, _peer: Peer) -> Grant:
    """Everybody may do everything."""
    return Grant(Role.ADMIN)


class RunningServer:
    """One server over a store, from `start` to `close`; as a context manager both."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
        authenticate: Authenticate = admit_all,
        path: Path | None = None,
        gate: Gate | None = None,
    ) -> None:
        """Serve `store` (memory, without one) at a Unix socket of its own, or at `path`."""
        self.limits = limits or Limits()
        self.store = store if store is not None else MemoryStore()
        self._clock = clock
        self._authenticate = authenticate
        self._gate = gate
        # The path of a socket must be short, which `tmp_path` is not everywhere.
        self._folder: Path | None = None
        if path is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fastness-"))
            path = self._folder / "s"
        self.path = path
        self._loop = asyncio.new_event_loop()
        self._ready = Event()
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name="test server")
        self.node: ServerNode
        self.process: NetworkProcess

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"fastness+unix://{self.path}"

    def start(self) -> Self:
        """Begin to serve; returns once it does."""
        self._thread.start()
        assert self._ready.wait(PATIENCE_SECONDS), "the server did not start"
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
        except BaseException as error:  # noqa: BLE001 - raised where it is started
            self._failure = error
            self.store.close()
            self._loop.close()
            self._ready.set()
            return
        self._ready.set()
        self._loop.run_forever()
        self._loop.close()

    async def _start(self) -> None:
        listener = bind(f"unix:{self.path}")
        self.process = NetworkProcess(
            node_address(listener.place), limits=self.limits, clock=self._clock
        )
        self.node = ServerNode(self.process, self.store, self.limits, gate=self._gate)
        self.process.serve(listener, authenticate=self._authenticate)
        await self.node.start()

    def also_at(self, place: str, tls: ssl.SSLContext | None = None) -> str:
        """Listen at another place too; where that is."""

        async def listen() -> str:
            listener = self.process.serve(place, authenticate=self._authenticate, tls=tls)
            return str(listener.place)

        return self.do(listen())

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    async def _stop(self) -> None:
        await self.node.stop()
        await self.process.close()

    def close(self) -> None:
        """Stop serving, and close the store."""
        self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        if self._folder is not None:
            shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.close()
