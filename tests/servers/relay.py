"""A relay between a client and a server, which may keep what was said and deliver it late."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
CHUNK = 1 << 16


@dataclass
class Conversation:
    """One client's connection, and whether the server hears what it says."""

    client: asyncio.StreamWriter
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def deliver(self) -> None:
        """Have the server hear what was kept, and wait until it has done with it."""
        self.heard.set()
        await asyncio.gather(*self.tasks)


class Relay:
    """Passes on whatever both sides say, until it is told not to. Used as a context."""

    def __init__(self, port: int) -> None:
        """`port` is the server's."""
        self.port = 0
        """Where clients connect."""
        self._to = port
        self._conversations: list[Conversation] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.kept = asyncio.Event()
        """Set once something was said that the server did not hear."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def hold(self) -> None:
        """Keep what clients that are connected say from now on."""
        for conversation in self._conversations:
            conversation.heard.clear()

    def cut(self) -> list[Conversation]:
        """Hang up on the clients that are connected, not on the server, which has yet to hear them.

        Who connects later is heard at once.
        """
        cut, self._conversations = self._conversations, []
        for conversation in cut:
            conversation.client.transport.abort()
        return cut

    async def _accept(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        conversation = Conversation(answer)
        conversation.heard.set()
        self._conversations.append(conversation)
        server, to_server = await asyncio.open_connection(HOST, self._to)
        conversation.tasks = [
            asyncio.create_task(self._pass_on(client, to_server, conversation.heard)),
            asyncio.create_task(self._pass_on(server, answer, None)),
        ]
        self._tasks += conversation.tasks

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        heard: asyncio.Event | None,
    ) -> None:
        try:
            while said := await reader.read(CHUNK):
                if heard is not None and not heard.is_set():
                    self.kept.set()
                    await heard.wait()
                writer.write(said)
                await writer.drain()
        except OSError:
            # Whoever would hear it has gone.
            return
        finally:
            if heard is not None:
                await heard.wait()
            writer.close()
