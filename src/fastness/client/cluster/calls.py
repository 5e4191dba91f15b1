"""Calls over a process: numbers, answers, silences, and what is known of the newest timestamp.

A call is one frame that is answered by one frame with its number, or not at all: after
`limits.call_ms` the caller is told so, and calls again under a new number if it likes. All calls
wait equally long, so they run out in the order they were made and one timer serves them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    DatabaseClosed,
    FastnessError,
    InvalidEncoding,
    Overloaded,
    ProtocolMismatch,
    Unreachable,
)
from fastness.limits import Limits
from fastness.runtime.process import Address, Process, Timer
from fastness.wire.messages import (
    ANSWER,
    CALL,
    NOTICE,
    Body,
    Refusal,
    decode_frame,
    encode_frame,
    encode_traced,
)

Reply = Body | None
"""An answer, or `None`: nobody answered in time."""


@dataclass(slots=True)
class CallCounts:
    """What came in and was not acted on."""

    malformed: int = 0
    other_protocol: int = 0
    misrouted: int = 0
    """Answers nobody waits for (late and repeated ones too) or from somebody else, and calls."""


class Sleeper(Protocol):
    """A pause under way."""

    def end(self) -> None:
        """End it now."""
        ...


Unsent = Callable[[FastnessError], None]
"""Told why a call certainly never left."""

Tracing = Callable[[], bytes]
"""The span that is under way, as it travels; empty where there is none."""


def _nobody(_address: Address) -> bool:
    return False


class Calls:
    """The calls of one client that are not answered yet."""

    def __init__(self, process: Process, limits: Limits) -> None:
        """Listen on `process` from now on."""
        self.process = process
        self.issued: Timestamp = 0
        """The newest timestamp this process knows to have been issued."""
        self.counts = CallCounts()
        self.tracing: Tracing | None = None
        """Says which span a call belongs to; none where nobody traces."""
        self.noticed: Callable[[Address, Body], None] | None = None
        """Who is told of notices."""
        self._waits_ns = limits.call_ms * 1_000_000
        self._limit = limits.calls_in_flight
        self._open: dict[int, tuple[int, Address, Callable[[Reply], None]]] = {}
        self._unsent: dict[int, Unsent] = {}
        """Who wants to know that a call never left, also when it was given up before."""
        self.number = 0
        """Of the last call: how many were made."""
        self._timer: Timer | None = None
        self.is_closed = False
        self.seeds: frozenset[Address] = frozenset()
        """Addresses of whoever is there: an answer comes from another, its own."""
        self.reason: Callable[[], FastnessError | None] | None = None
        """Says why the network leads nowhere, as far as it knows; for what errors say."""
        self.takes_traces: Callable[[Address], bool] = _nobody
        """Whether somebody takes frames with a trace."""
        self.sleeping: dict[Sleeper, None] = {}
        """Who pauses: woken when the client closes."""
        process.listen(self._receive)

    def __len__(self) -> int:
        return len(self._open)

    def call(
        self,
        to: Address,
        body: Body,
        done: Callable[[Reply], None],
        *,
        unsent: Unsent | None = None,
        trace: bytes | None = None,
    ) -> int:
        """Send a call; `done` gets the answer or `None`, once. Answers its number.

        `unsent` is called instead of `done`, or after it got `None`, if the call certainly never
        left; without it `done` gets a refusal then. `trace` is what it belongs to, without it
        what is under way here.
        """
        self.require_open()
        if len(self._open) >= self._limit:
            raise Overloaded(
                f"{self._limit} calls are unanswered (calls_in_flight): back off, or raise it"
            )
        self.number = number = self.number + 1
        process = self.process
        if unsent is not None:
            self._unsent[number] = unsent
            if len(self._unsent) > 2 * self._limit:
                del self._unsent[next(iter(self._unsent))]
        self._open[number] = (process.clock.boot_ns() + self._waits_ns, to, done)
        if self.tracing is None:
            data = encode_frame(CALL, number, self.issued, body)
        else:
            span = self._traced(self.tracing, to, trace)
            data = encode_traced(CALL, number, self.issued, body, span)
        process.send(to, data)
        if self._timer is None:
            self._timer = process.call_later(self._waits_ns / 1e6, self._expire)
        return number

    def _traced(self, tracing: Tracing, to: Address, trace: bytes | None) -> bytes:
        if not self.takes_traces(to):
            return b""
        return tracing() if trace is None else trace

    def trace_here(self) -> bytes | None:
        """What is under way here, for calls that belong to it and are sent from elsewhere."""
        return None if self.tracing is None else self.tracing()

    def require_open(self) -> None:
        """Raise `DatabaseClosed` once the client was closed, or in a forked child."""
        if self.is_closed:
            raise DatabaseClosed(
                "the database was closed, or this process inherited it through a fork: open it "
                "again here"
            )

    def barred(self) -> FastnessError | None:
        """Why asking again is of no use at all: a token that is refused, for example."""
        error = None if self.reason is None else self.reason()
        return None if error is None or error.retryable else type(error)(str(error))

    def unreachable(self, what: str) -> FastnessError:
        """The end of an operation that nobody answered, with the reason where it is known."""
        barred = self.barred()
        if barred is not None:
            return barred
        error = None if self.reason is None else self.reason()
        return Unreachable(what if error is None else f"{what} ({error})")

    def ask(self, to: Address, body: Body) -> asyncio.Future[Reply]:
        """As `call`, with a future; cancelling it gives the answer up."""
        future: asyncio.Future[Reply] = self.process.future()

        def done(reply: Reply) -> None:
            if not future.done():
                future.set_result(reply)

        self.call(to, body, done)
        return future

    def notice(self, to: Address, body: Body) -> None:
        """Send what needs no answer."""
        self.process.send(to, encode_frame(NOTICE, 0, self.issued, body))

    def learn_issued(self, timestamp: Timestamp) -> None:
        """Take note of a timestamp that was issued."""
        self.issued = max(self.issued, timestamp)

    def close(self) -> None:
        """Answer every open call with silence, and refuse more."""
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        calls, self._open = self._open, {}
        for _ends_ns, _to, done in calls.values():
            done(None)
        for sleeper in list(self.sleeping):
            sleeper.end()

    def disown(self) -> None:
        """In a forked child: nothing is sent, and nothing answered, any more."""
        self.is_closed = True
        self._open.clear()
        self.sleeping.clear()

    def _receive(self, sender: Address, data: bytes) -> None:
        if self.is_closed:
            return
        try:
            frame = decode_frame(data)
        except InvalidEncoding:
            self.counts.malformed += 1
            return
        except ProtocolMismatch:
            self.counts.other_protocol += 1
            return
        if frame.kind == ANSWER:
            call = self._open.get(frame.number)
            if call is not None and (call[1] == sender or call[1] in self.seeds):
                del self._open[frame.number]
                if self._unsent:
                    self._unsent.pop(frame.number, None)
                self.issued = max(self.issued, frame.issued)
                call[2](frame.body)
                return
        elif frame.kind == NOTICE and self.noticed is not None:
            self.issued = max(self.issued, frame.issued)
            self.noticed(sender, frame.body)
            return
        self.counts.misrouted += 1

    def undelivered(self, frames: list[bytes], reason: FastnessError) -> None:
        """These were certainly not sent: their calls need not wait, and nothing was done."""
        refusal = Refusal(reason.code, str(reason))
        for data in frames:
            frame = decode_frame(data)
            if frame.kind != CALL:
                continue
            call = self._open.pop(frame.number, None)
            unsent = self._unsent.pop(frame.number, None)
            if unsent is not None:
                unsent(reason)
            elif call is not None:
                call[2](refusal)

    def lost(self, to: Address) -> None:
        """The connection broke: what was asked there will not be answered, done or not."""
        broken = [number for number, call in self._open.items() if call[1] == to]
        for done in [self._open.pop(number)[2] for number in broken]:
            done(None)

    def _expire(self) -> None:
        self._timer = None
        now_ns = self.process.clock.boot_ns()
        expired: list[Callable[[Reply], None]] = []
        while self._open:
            number = next(iter(self._open))
            ends_ns, _to, done = self._open[number]
            if ends_ns > now_ns:
                pause_ms = (ends_ns - now_ns) / 1e6
                self._timer = self.process.call_later(pause_ms, self._expire)
                break
            del self._open[number]
            expired.append(done)
        for done in expired:
            done(None)
