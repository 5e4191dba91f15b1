"""Which connection leads to whom, and which lines stand at all."""

from __future__ import annotations

import asyncio

from fastness.runtime.process import Address
from fastness.transport.connections import Connection
from fastness.transport.counts import TransportCounts


class Switchboard:
    """The lines of one process. Of several to the same peer the newest that lives is used."""

    def __init__(self, counts: TransportCounts) -> None:
        self.links: dict[Address, Connection] = {}
        """The connection to be sent over, by every name of its peer."""
        self._counts = counts
        self._older: dict[Address, list[Connection]] = {}
        self._lines: dict[Connection, None] = {}
        self._all_gone: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def lines(self) -> list[Connection]:
        """Every line, the oldest first, those in their handshake included."""
        return list(self._lines)

    def hold(self, connection: Connection) -> None:
        """A line is being set up."""
        self._lines[connection] = None
        self._counts.connections = len(self._lines)

    def release(self, connection: Connection) -> None:
        """A line is closed. Harmless where it was not held."""
        if connection in self._lines:
            del self._lines[connection]
            self._counts.connections = len(self._lines)
            self._counts.closed += 1
        if not self._lines and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)

    async def emptied(self, seconds: float) -> None:
        """Wait until no line stands, but no longer than this."""
        if self._lines:
            self._all_gone = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._all_gone], timeout=seconds)

    def link(self, connection: Connection, name: Address) -> None:
        """Let this connection be used for a name from now on."""
        present = self.links.get(name)
        if present is connection:
            return
        if present is not None:
            self._older.setdefault(name, []).append(present)
        self.links[name] = connection
        connection.names.append(name)

    def unlink(self, connection: Connection) -> None:
        """Use it no more; an older one that still stands takes its place."""
        for name in connection.names:
            older = self._older.get(name, [])
            if connection in older:
                older.remove(connection)
            elif self.links.get(name) is connection:
                if older:
                    self.links[name] = older.pop()
                else:
                    del self.links[name]
            if not older:
                self._older.pop(name, None)

    def clear(self) -> None:
        """Forget all of it, without touching a line."""
        self.links.clear()
        self._older.clear()
        self._lines.clear()
