"""`BlockingProcess`: a client `Process` for programs without an event loop, shared by threads.

It is pumped by whoever waits for something (`transport.pump`): asynchronous code that is written
against `Process` runs in ordinary threads, with a system call to write, one to wait and one to
read for each exchange. While nobody waits nothing is read: a peer is told not to expect answers to
pings, and before anything is sent after a pause what has arrived meanwhile is taken.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar, cast

from fastness.errors import FastnessError, Unreachable
from fastness.limits import Limits
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND, Clock, SystemClock
from fastness.runtime.forking import own
from fastness.runtime.looped import Note, Receive
from fastness.runtime.process import Address
from fastness.transport.addresses import client_address, is_client, is_seed, place_of
from fastness.transport.connections import RECEIVE_BYTES
from fastness.transport.counts import TransportCounts
from fastness.transport.dialing import (
    REMEMBERED_MAX,
    Failures,
    Lost,
    Queue,
    Undelivered,
    silent,
    too_long,
    too_much_waits,
)
from fastness.transport.framing import pack_length
from fastness.transport.lines import Line
from fastness.transport.links import DialedLink
from fastness.transport.pump import Pump, PumpTask, PumpTimer
from fastness.wire.handshake import MAGIC, PROTOCOLS, Hello, Welcome

T = TypeVar("T")

IDLE_NS = 50 * NANOSECONDS_PER_MILLISECOND
"""After a pause of this length a line is looked at before anything is sent over it."""


class BlockingProcess:
    """See the module's page. Close it in the end.

    `drive` runs a coroutine in the calling thread; everything else but `close` and `disown` is to
    be called by what is driven. `clock` must never stand still while it is pumped.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        credential: str = "",
        tls: ssl.SSLContext | None = None,
        agent: str = "",
        clock: Clock | None = None,
        note: Note | None = None,
    ) -> None:
        """As `NetworkProcess` without an address."""
        self.address = client_address()
        self.limits = limits or Limits()
        self.counts = TransportCounts()
        self.credential = credential
        self.tls = tls
        self.agent = agent
        self.receive_buffer = memoryview(bytearray(RECEIVE_BYTES))
        self.clock = clock if clock is not None else SystemClock()
        self.random = Random()  # noqa: S311 - it guards no secret
        self._note = note
        self.pump = Pump(self.clock, flush=self._flush, note=self.note)
        self.lost: Lost | None = None
        """Hears of peers that are not connected any more, later as well."""
        self.undelivered: Undelivered | None = None
        """Hears of frames that certainly were not sent, and why, in a later turn of the pump."""
        self._receive: Receive | None = None
        self._links: dict[Address, Line] = {}
        self._lines: dict[Line, None] = {}
        """Every line that has not ended."""
        self._dirty: list[Line] = []
        self._queues: dict[Address, Queue] = {}
        self._waiters: dict[Address, list[asyncio.Future[None]]] = {}
        self._timers: dict[Line, PumpTimer] = {}
        self._via: dict[Address, Address] = {}
        self._failures = Failures(self.limits, self.random)
        own(self)

    def __repr__(self) -> str:
        return f"<BlockingProcess {self.address}>"

    # ---------------------------------------------------------------- driving

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns or raises; see `Pump.drive`."""
        return self.pump.drive(coroutine)

    # ------------------------------------------------------------ as a process

    def listen(self, receive: Receive) -> None:
        """Hand every frame that arrives to `receive(sender, frame)`, from now on."""
        self._receive = receive

    def send(self, to: Address, frame: bytes) -> None:
        """Send a frame over the open connection, or the one that is opened for it."""
        line = self._links.get(to)
        if line is not None:
            now_ns = self.clock.boot_ns()
            if now_ns - line.used_ns > IDLE_NS:
                line.look()
            line.used_ns = now_ns
            if line.ended is not None:
                line = self._links.get(to)
        if line is None:
            self._send_elsewhere(to, frame)
            return
        if len(frame) > line.frame_bytes:
            self.counts.oversized += 1
            self._drop([frame], too_long(to, len(frame), line.frame_bytes))
            return
        waiting = line.waiting
        if not waiting:
            self._dirty.append(line)
        waiting.append(pack_length(len(frame)))
        waiting.append(frame)

    def call_later(
        self, milliseconds: float, callback: Callable[..., object], *args: object
    ) -> PumpTimer:
        """Call back after this much time, as soon as somebody pumps then."""
        return self.pump.call_later(milliseconds, callback, args)

    def future(self) -> asyncio.Future[Any]:
        """A future for what is driven."""
        return self.pump.loop.future()

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run a coroutine beside, whenever somebody pumps."""
        # It does what tasks are used for here; a real one would want a loop that runs.
        return cast("asyncio.Task[T]", PumpTask(self.pump, coroutine, f"{self.address} {name}"))

    def note(self, event: str) -> None:
        """A line of the process's story."""
        if self._note is not None:
            self._note(self.address, event)

    def _flush(self) -> None:
        while self._dirty:
            self._dirty.pop().flush()

    def deliver(self, sender: Address, messages: list[bytes]) -> None:
        """Messages arrived."""
        receive = self._receive
        if receive is not None:
            for message in messages:
                receive(sender, message)

    # ---------------------------------------------------------------- dialing

    async def reach(self, to: Address) -> Address:
        """Open a connection, if there is none; the full address of whoever answered.

        Raises why not, as `NetworkProcess.reach`.
        """
        line = self._links.get(to)
        if line is not None:
            line.look()
        if to not in self._links:
            if to not in self._queues:
                self._dial_later(to)
            waiter: asyncio.Future[None] = self.future()
            self._waiters.setdefault(to, []).append(waiter)
            await waiter
        line = self._links.get(to)
        if line is None:
            raise Unreachable(f"{to} hung up at once: try again")
        return line.link.peer

    def welcome_of(self, address: Address) -> Welcome | None:
        """What a process that was dialed said when it opened, `None` without a connection."""
        line = self._links.get(address)
        return None if line is None else line.link.welcome

    def reason(self, address: Address) -> FastnessError | None:
        """Why this address could not be dialed last time, `None` where it could."""
        return self._failures.reason(address)

    def _send_elsewhere(self, to: Address, frame: bytes) -> None:
        if to == self.address:
            self.pump.loop.call_soon(self.deliver, to, [frame])
            return
        if is_client(to):
            self.counts.undeliverable += 1
            self._drop([frame], Unreachable(f"{to} is a client, and has no connection"))
            return
        if to not in self._queues:
            self._dial_later(to)
        if not self._queues[to].add(frame, self.limits.connection_write_bytes):
            self.counts.undeliverable += 1
            self._drop([frame], too_much_waits(to, self.limits.connection_write_bytes))

    def _drop(self, frames: list[bytes], reason: FastnessError) -> None:
        """These were not sent, and never will be."""
        self.note(f"{len(frames)} frames were dropped: {reason}")
        if self.undelivered is not None:
            self.pump.loop.call_soon(self.undelivered, frames, reason)

    def _dial_later(self, to: Address) -> None:
        self._queues[to] = Queue()
        self.pump.call_later(self._failures.pause_ms(to), self._dial, (to,))

    def _dial(self, to: Address) -> None:
        self.counts.dialed += 1
        hello = Hello(
            MAGIC,
            list(PROTOCOLS),
            self.address,
            self.credential,
            to,
            answers_pings=False,
            agent=self.agent,
        )
        line = Line(self, to, DialedLink(hello, self.limits.frame_bytes), self.tls)
        self._lines[line] = None
        self.counts.connections = len(self._lines)
        self._timers[line] = self.pump.call_later(
            self.limits.handshake_ms,
            line.end,
            (silent(to, self.limits),),
        )
        try:
            place = place_of(self._via.get(to, to))
        except FastnessError as error:
            line.end(error)
        else:
            line.dial(place)

    # ------------------------------------------------- what lines tell (`LineOwner`)

    def line_opened(self, line: Line) -> None:
        """The handshake ended well."""
        dialed, peer = line.dialed, line.link.peer
        if is_client(peer) or is_seed(peer) or (dialed != peer and not is_seed(dialed)):
            line.end(Unreachable(f"{peer} answered in place of {dialed}"))
            return
        self._timers.pop(line).cancel()
        self.counts.opened += 1
        self._failures.clear(dialed)
        line.used_ns = self.clock.boot_ns()
        if dialed != peer:
            self._via[peer] = dialed
            if len(self._via) > REMEMBERED_MAX:
                del self._via[next(iter(self._via))]
        present = self._links.get(peer, line)
        for name in (peer, dialed):
            self._links[name] = present
            if name not in present.names:
                present.names.append(name)
            queue = self._queues.pop(name, None)
            for frame in () if queue is None else queue.frames:
                self.send(name, frame)
        self._tell(dialed, None)
        if present is not line:
            line.end(Unreachable(f"{peer} is connected already"))

    def line_ended(self, line: Line, error: FastnessError, unsent: list[bytes]) -> None:
        """It is of no use any more, and never sent these messages."""
        self._lines.pop(line, None)
        self.counts.connections = len(self._lines)
        self.counts.closed += 1
        for name in line.names:
            if self._links.get(name) is line:
                del self._links[name]
                if self.lost is not None:
                    self.pump.loop.call_soon(self.lost, name)
        if unsent:
            self.counts.undeliverable += len(unsent)
            self._drop(unsent, error)
        timer = self._timers.pop(line, None)
        if timer is None:
            return
        # It never opened.
        timer.cancel()
        to = line.dialed
        self.counts.failed_dials += 1
        self._failures.add(to, error)
        self.note(f"{to} cannot be reached: {error}")
        queue = self._queues.pop(to, None)
        if queue is not None and queue.frames:
            self.counts.undeliverable += len(queue.frames)
            self._drop(queue.frames, error)
        self._tell(to, error)

    def _tell(self, to: Address, error: FastnessError | None) -> None:
        for waiter in self._waiters.pop(to, []):
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    # ---------------------------------------------------------------- closing

    def close(self) -> None:
        """Hang up; whoever still waits gets `DatabaseClosed`. From any thread. Idempotent."""
        self.pump.close(self._hang_up)

    def _hang_up(self) -> None:
        self._flush()
        for line in list(self._lines):
            line.end(Unreachable(f"{self.address} is closed"))
        self._receive = None

    def disown(self) -> None:
        """In a forked child: the parent goes on with its connections, `drive` refuses here."""
        self.pump.disown(self._let_go)

    def _let_go(self) -> None:
        for line in list(self._lines):
            line.disown()
        self._lines.clear()
        self._links.clear()
        self._receive = None


__all__ = ["BlockingProcess"]
