"""Timestamps of the oracle, one request at a time, shared by all who wait.

A waiter is only ever given an answer to a request that was sent after it began to wait: whoever
comes while a request is out is served by the next one (CONSISTENCY, section 1.1). Readers of one
answer share a timestamp; every commit gets one of its own.
"""

from __future__ import annotations

import asyncio

from fastness.client.cluster.calls import Calls, Reply
from fastness.client.cluster.routing import Pace, Routes
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Overloaded
from fastness.limits import Limits
from fastness.wire.messages import Draw, Drawn, Refusal

Waiter = asyncio.Future[Timestamp]


class Timestamps:
    """Read and commit timestamps of one client."""

    def __init__(self, calls: Calls, routes: Routes, limits: Limits) -> None:
        self._calls = calls
        self._routes = routes
        self._limits = limits
        self._readers: list[Waiter] = []
        self._commits: list[Waiter] = []
        self._served_readers: list[Waiter] = []
        self._served_commits: list[Waiter] = []
        self._out = False
        self._pace: Pace | None = None
        self._sent_ns = 0
        self._drawn_ns: int | None = None

    def fresh_within(self, milliseconds: float) -> bool:
        """Whether the newest timestamp known was issued at most that long ago."""
        if self._drawn_ns is None:
            return False
        age_ns = self._calls.process.clock.boot_ns() - self._drawn_ns
        return age_ns <= milliseconds * 1_000_000

    def heard(self, since_ns: int) -> None:
        """The newest timestamp known was issued after `since_ns`, by the boot clock."""
        if self._drawn_ns is None or self._drawn_ns < since_ns:
            self._drawn_ns = since_ns

    def read(self) -> Waiter:
        """A timestamp issued from now on."""
        return self._wait(self._readers)

    def commit(self) -> Waiter:
        """A timestamp issued from now on that nobody else is given."""
        return self._wait(self._commits)

    def _wait(self, queue: list[Waiter]) -> Waiter:
        self._calls.require_open()
        if len(queue) >= self._limits.calls_in_flight:
            raise Overloaded(
                f"{len(queue)} transactions wait for a timestamp (calls_in_flight): back off"
            )
        waiter: Waiter = self._calls.process.future()
        queue.append(waiter)
        if not self._out:
            self._send()
        return waiter

    def _send(self) -> None:
        """Send one request for everybody who waits by now."""
        self._served_readers += self._readers
        self._served_commits += self._commits
        self._readers, self._commits = [], []
        self._out = True
        if self._pace is None:
            self._pace = Pace(self._calls, self._limits)
        if self._pace.is_over or self._calls.is_closed:
            self._fail()
            return
        oracle = self._routes.oracle
        if not oracle:
            self._ask_later()
            return
        self._sent_ns = self._calls.process.clock.boot_ns()
        count = len(self._served_commits) + bool(self._served_readers)
        try:
            request = Draw(count, not self._served_commits)
            self._calls.call(oracle, request, self._answered)
        except Overloaded:
            self._ask_later()

    def _answered(self, reply: Reply) -> None:
        count = len(self._served_commits) + bool(self._served_readers)
        if type(reply) is Drawn and reply.count >= count:
            self._serve(reply.first)
            return
        if type(reply) is Refusal:
            before = self._routes.oracle
            self._routes.correct(reply)
            if self._routes.oracle not in ("", before):
                self._send()
                return
        self._ask_later()

    def _serve(self, first: Timestamp) -> None:
        readers, commits = self._served_readers, self._served_commits
        self._served_readers, self._served_commits = [], []
        self._calls.learn_issued(first + len(commits) + bool(readers) - 1)
        self._drawn_ns = self._sent_ns
        self._out = False
        self._pace = None
        if self._readers or self._commits:
            self._send()
        for waiter in readers:
            if not waiter.done():
                waiter.set_result(first)
        for own, waiter in enumerate(commits, first + bool(readers)):
            if not waiter.done():
                waiter.set_result(own)

    def _ask_later(self) -> None:
        """Nobody answered as the oracle: learn where it is, and send again after a pause."""
        pace = self._pace
        if pace is not None and pace.has_tried and self._calls.barred() is not None:
            self._fail()
            if self._readers or self._commits:
                # Those who came meanwhile get a try of their own.
                self._send()
            return
        self._routes.refresh()
        pause_ms = self._limits.reroute_ms if pace is None else pace.pause_ms()
        self._calls.process.call_later(pause_ms, self._send)

    def _fail(self) -> None:
        waiting = [*self._served_readers, *self._served_commits]
        self._served_readers, self._served_commits = [], []
        self._out = False
        self._pace = None
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(
                    self._calls.unreachable(
                        f"no timestamp for {self._limits.operation_ms} ms (operation_ms): the "
                        "oracle's place is vacant or cut off; try again later"
                    )
                )
