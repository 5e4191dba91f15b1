"""Whoever watches a local store hears how long it took over what."""

from __future__ import annotations

import asyncio
from functools import partial

from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import FastnessError
from fastness.hosting.local_store import LocalStore
from fastness.storage import MemoryStore
from fastness.storage.contract import Batch, CommittedWrites, RangeState

BATCHES = 3


class Heard:
    """What was heard, in order."""

    def __init__(self) -> None:
        self.story: list[str] = []

    def hear(self, what: str, nanoseconds: int) -> None:
        """Something took so long."""
        assert nanoseconds >= 0
        self.story.append(what)

    def waited(self, nanoseconds: int) -> None:
        """A request waited."""
        self.hear("waited", nanoseconds)

    def applied(self, nanoseconds: int) -> None:
        """A batch was applied."""
        self.hear("applied", nanoseconds)

    def synced(self, nanoseconds: int) -> None:
        """Batches were made durable."""
        self.hear("synced", nanoseconds)


def test_what_a_watch_hears() -> None:
    """Each request's wait, each batch's application, and the syncs they share."""
    heard = Heard()

    async def scenario() -> None:
        store = LocalStore(MemoryStore(), watch=heard)
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[RangeState | FastnessError] = loop.create_future()
        store.open_range(1, 1, opened.set_result)
        assert isinstance(await opened, RangeState)
        answers: list[asyncio.Future[FastnessError | None]] = []
        for number in range(1, BATCHES + 1):
            answer: asyncio.Future[FastnessError | None] = loop.create_future()
            commit = CommittedWrites(from_milliseconds(number), {b"k": b"%d" % number})
            store.apply(Batch(1, 1, number, [commit]), partial(answer.set_result))
            answers.append(answer)
        assert await asyncio.gather(*answers) == [None] * BATCHES
        assert store.standing()[2].newest_keys == 1
        await store.close()

    asyncio.run(scenario())
    assert heard.story.count("waited") == BATCHES + 1
    assert heard.story.count("applied") == BATCHES
    assert 1 <= heard.story.count("synced") <= BATCHES
    assert heard.story[-1] == "synced"
