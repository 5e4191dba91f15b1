"""The watch: one stream for all who want to hear of changes, opened again whenever it ends.

A stream begins behind the last revision that was seen, so that what changed while there was none
is heard of too. Where etcd has compacted that revision away, everybody is told, and the stream
begins with what changes from then on: a notice is a hint to read, not the change itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing

from fastness.errors import Unreachable
from fastness.hosting.etcd.members import Members, decoder
from fastness.hosting.etcd.messages import WatchAnswer, end_of, range_request
from fastness.limits import Limits
from fastness.runtime.process import Process

_decode = decoder(WatchAnswer)


class Watch:
    """Somebody who wants to know; told once at a time. What `Coordinator.watch` answers."""

    __slots__ = ("_changed", "_process", "_told", "_watches", "prefix")

    def __init__(
        self,
        process: Process,
        prefix: str,
        changed: Callable[[], None],
        watches: dict[Watch, None],
    ) -> None:
        self.prefix = prefix
        self._process = process
        self._changed = changed
        self._told = False
        self._watches = watches

    def tell(self) -> None:
        """Let it know, behind what runs now."""
        if not self._told:
            self._told = True
            self._process.call_later(0, self._arrive)

    def _arrive(self) -> None:
        self._told = False
        if self in self._watches:
            self._changed()

    def cancel(self) -> None:
        """Tell it no more."""
        self._watches.pop(self, None)


class Watching:
    """See the module's page."""

    def __init__(self, process: Process, members: Members, root: bytes, limits: Limits) -> None:
        self.seen = 0
        """The last revision known; nobody need be told of what was written until then."""
        self._process = process
        self._members = members
        self._root = root
        self._pause_ms = limits.reconnect_ms
        self._watches: dict[Watch, None] = {}
        self._heard = 0
        """The last revision whose changes everybody was told of; 0: begin anew."""
        self._task: asyncio.Task[None] | None = None

    def add(self, prefix: str, changed: Callable[[], None]) -> Watch:
        """Tell somebody of changes under a prefix; the first one opens the stream."""
        watch = Watch(self._process, prefix, changed, self._watches)
        self._watches[watch] = None
        if self._task is None:
            self._task = self._process.spawn(self._run(self.seen), name="etcd watch")
        return watch

    async def _run(self, heard: int) -> None:
        self._heard = heard
        while True:
            try:
                await self._listen()
            except Unreachable as error:
                self._process.note(f"watch lost: {error}")
            # Not in step with every other node that lost the same member.
            await asyncio.sleep(self._process.random.uniform(0.1, 1.0) * self._pause_ms / 1_000)

    async def _listen(self) -> None:
        """Hear of changes until the stream ends."""
        begin = str(self._heard + 1 if self._heard else 0)
        interval = range_request(self._root, end_of(self._root), start_revision=begin)
        create = {"create_request": interval}
        async with aclosing(self._members.lines("/v3/watch", create, _decode)) as answers:
            async for answer in answers:
                result = answer.result
                if answer.error is not None or result.canceled:
                    if result.compact_revision:
                        self._heard = 0
                    reason = answer.error.message if answer.error else result.cancel_reason
                    raise Unreachable(f"etcd ended the watch ({reason or 'compacted'})")
                if result.created and not self._heard:
                    self._heard = result.header.revision
                    self._tell(self._watches)
                for event in result.events:
                    # The header may be ahead of what it comes with.
                    self._heard = max(self._heard, event.kv.mod_revision)
                keys = [event.kv.key for event in result.events]
                self._tell(watch for watch in self._watches if self._concerns(watch, keys))

    def _concerns(self, watch: Watch, keys: list[bytes]) -> bool:
        prefix = self._root + watch.prefix.encode()
        return any(key.startswith(prefix) for key in keys)

    def _tell(self, watches: Iterable[Watch]) -> None:
        for watch in list(watches):
            watch.tell()

    async def close(self) -> None:
        """Tell nobody any more."""
        self._watches.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
