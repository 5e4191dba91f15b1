"""Blocks of timestamps for the ranges of a node, from the oracle wherever it is.

Each block is asked for by a message of its own, sent after it was wanted: an answer to an
earlier question could hold timestamps that were issued before the batch's locks were in place.
Where the oracle is this node itself no message is needed: the block is issued when it is wanted.
Asked again, of whoever then is the oracle, until it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fastness.encoding.timestamps import Timestamp
from fastness.node.calls import Calls
from fastness.node.post import Post
from fastness.placement.cluster_view import ClusterView
from fastness.runtime.process import Process
from fastness.wire.messages import Body, Draw, Drawn, Refusal


@dataclass(slots=True, eq=False)
class Wanted:
    """A block somebody waits for. `done(first, count)` brings it, unless it was cancelled."""

    count: int
    done: Callable[[Timestamp, int], None]
    cancelled: bool = False


class Draws:
    """See the module's page."""

    __slots__ = ("_again", "_calls", "_moved", "_observing", "_post", "_process", "_view", "here")

    def __init__(
        self,
        process: Process,
        post: Post,
        calls: Calls,
        view: ClusterView,
        moved: Callable[[], None],
    ) -> None:
        self._process = process
        self._post = post
        self._calls = calls
        self._view = view
        self._moved = moved
        self._observing: Wanted | None = None
        self._again: list[Wanted] = []
        """To be asked for at the next tick: no oracle was known, or it did not answer."""
        self.here: Callable[[int], Timestamp | None] = _not_here
        """Issues a block at once if this node is the oracle."""

    def draw(self, count: int, done: Callable[[Timestamp, int], None]) -> Wanted:
        """Ask for a block."""
        wanted = Wanted(count, done)
        self._ask(wanted)
        return wanted

    @property
    def waiting(self) -> int:
        """Blocks to be asked for at the next tick."""
        return len(self._again)

    def observe(self) -> None:
        """Learn what time it is for the oracle, by a timestamp that nobody uses."""
        if self._observing is None:
            self._observing = self.draw(1, self._observed)

    def _observed(self, _first: Timestamp, _count: int) -> None:
        self._observing = None

    def tick(self) -> None:
        """Ask again for what was not answered."""
        again, self._again = self._again, []
        for wanted in again:
            if not wanted.cancelled:
                self._ask(wanted)

    def _ask(self, wanted: Wanted) -> None:
        first = self.here(wanted.count)
        if first is not None:
            # Not within the call: whoever asks is in the middle of a step.
            self._process.call_later(0, self._issued, wanted, first)
            return
        oracle = self._view.oracle_address()
        if not oracle or not self._calls.call(
            oracle,
            Draw(wanted.count),
            self._process.clock.boot_ns(),
            partial(self._answered, wanted),
        ):
            self._again.append(wanted)

    def _issued(self, wanted: Wanted, first: Timestamp) -> None:
        if not wanted.cancelled:
            wanted.done(first, wanted.count)

    def _answered(self, wanted: Wanted, body: Body | None) -> None:
        if wanted.cancelled:
            return
        if isinstance(body, Drawn) and body.count == wanted.count and body.first > 0:
            self._post.learn(body.first + body.count - 1)
            wanted.done(body.first, body.count)
            return
        if isinstance(body, Refusal):
            self._moved()
        self._again.append(wanted)


def _not_here(_count: int) -> None:
    return None
