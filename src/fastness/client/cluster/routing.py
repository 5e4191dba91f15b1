"""Where ranges and the oracle are, as far as this client knows, and how it learns better.

What is known comes from `MapAnswer`s of any node and from refusals. It may be stale at any time:
whoever is asked wrongly refuses with the right descriptors, and whoever cannot be reached makes
the client ask the next node for the map.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fastness.client.cluster.calls import Calls, Reply
from fastness.encoding.intervals import KeyInterval
from fastness.errors import DatabaseClosed, InvalidOption, Overloaded
from fastness.limits import Limits
from fastness.placement.descriptors import Descriptor, RangeMap
from fastness.runtime.process import Address
from fastness.wire.messages import MapAnswer, MapRequest, Refusal

FIRST_PAUSE_MS = 2.0


class Routes:
    """The client's range map, its nodes, and the oracle's address."""

    def __init__(self, calls: Calls, nodes: Sequence[Address], limits: Limits) -> None:
        """Begin with the addresses of some nodes."""
        if not nodes:
            raise InvalidOption("a cluster client needs the address of at least one node")
        self.map = RangeMap()
        self.oracle: Address = ""
        self._calls = calls
        self._seeds = list(dict.fromkeys(nodes))
        self._nodes = list(self._seeds)
        self._turn = calls.process.random.randrange(len(self._nodes))
        self._silences = 0
        """How many nodes in a row did not answer."""
        self._asking = False
        self._waiting: list[asyncio.Future[None]] = []
        self.limits = limits

    @property
    def nodes(self) -> list[Address]:
        """The nodes known."""
        return list(self._nodes)

    def serving(self, key: bytes) -> Descriptor | None:
        """The range that holds `key`, if its leaseholder is known."""
        descriptor = self.map.holder_of(key)
        return descriptor if descriptor is not None and descriptor.holder else None

    def piece(self, begin: bytes, end: bytes, *, reverse: bool) -> Descriptor | None:
        """The range of the first key of an interval, or against the order of its last."""
        if not reverse:
            return self.serving(begin)
        overlapping = self.map.overlapping(KeyInterval(begin, end))
        if not overlapping or overlapping[-1].end < end or not overlapping[-1].holder:
            return None
        return overlapping[-1]

    def correct(self, refusal: Refusal) -> None:
        """Take up what a refusal tells of ranges and the oracle."""
        for descriptor in refusal.descriptors:
            self.map.learn(descriptor)
        if refusal.oracle:
            self.oracle = refusal.oracle

    def refresh(self) -> None:
        """Ask the next node for the map, unless one is being asked already."""
        if self._asking:
            return
        self._turn += 1
        # Nodes that restarted have other addresses: those of the beginning are the last resort.
        nodes = self._nodes if self._silences < len(self._nodes) else self._seeds
        node = nodes[self._turn % len(nodes)]
        self._asking = True
        try:
            self._calls.call(node, MapRequest(), self._told)
        except (Overloaded, DatabaseClosed):
            self._told(None)

    async def refreshed(self) -> None:
        """Wait until the next node was asked for the map, whatever came of it."""
        waiter: asyncio.Future[None] = self._calls.process.future()
        self._waiting.append(waiter)
        self.refresh()
        await waiter

    def _told(self, reply: Reply) -> None:
        self._asking = False
        self._silences += 1
        if type(reply) is MapAnswer:
            self._silences = 0
            for descriptor in reply.descriptors:
                self.map.learn(descriptor)
            if reply.oracle:
                self.oracle = reply.oracle
            self._nodes = list(dict.fromkeys(reply.nodes)) or self._nodes
        elif self._silences >= len(self._nodes) + len(self._seeds):
            self._silences = 0
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)


class Pace:
    """The pauses of one operation that looks for somebody to answer it, up to its end."""

    __slots__ = ("_calls", "_ends_ns", "_limits", "_turns")

    def __init__(self, calls: Calls, limits: Limits) -> None:
        self._calls = calls
        self._limits = limits
        self._ends_ns = calls.process.clock.boot_ns() + limits.operation_ms * 1_000_000
        self._turns = 0

    @property
    def has_tried(self) -> bool:
        """Whether it has asked somebody already."""
        return self._turns > 0

    @property
    def is_over(self) -> bool:
        """Whether the operation's time has passed."""
        return self._calls.process.clock.boot_ns() >= self._ends_ns

    def pause_ms(self) -> float:
        """The next pause: none at first, then growing, with jitter."""
        self._turns += 1
        if self._turns == 1:
            return 0.0
        longest = min(self._limits.reroute_ms, FIRST_PAUSE_MS * 2 ** min(self._turns, 16))
        return self._calls.process.random.uniform(FIRST_PAUSE_MS / 2, longest)
