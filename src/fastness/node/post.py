"""Frames out of a process and into it, and what they tell about issued timestamps.

Messages to the process itself take the same way through the codec and the loop, so that a node
that holds the oracle or the other half of a transaction itself behaves like any other.
"""

from __future__ import annotations

from collections.abc import Callable

from fastness.encoding.timestamps import Timestamp
from fastness.node.gate import Gate
from fastness.runtime.process import Address, Process
from fastness.wire.messages import ANSWER, CALL, NOTICE, Body, encode_frame


class Post:
    """See the module's page."""

    __slots__ = ("_process", "_receive", "_send", "_sent", "address", "issued")

    def __init__(self, process: Process, gate: Gate) -> None:
        self.address = process.address
        self.issued: Timestamp = 0
        """The highest timestamp this process knows to have been issued."""
        self._process = process
        self._send = process.send
        self._sent = gate.sent
        self._receive: Callable[[Address, bytes], None] | None = None

    def listen(self, receive: Callable[[Address, bytes], None]) -> None:
        """Hand what arrives to `receive`, from others and from this process alike."""
        self._receive = receive
        self._process.listen(receive)

    def learn(self, issued: Timestamp) -> None:
        """This timestamp was issued."""
        self.issued = max(self.issued, issued)

    def hear(self, issued: Timestamp, ceiling: Timestamp) -> None:
        """Somebody says that this timestamp was issued; nothing is at or above the ceiling.

        Beyond the ceiling last read it is not believed: floors taken from a made-up timestamp
        would stop a range. To know too little is harmless, readers only wait for more.
        """
        if self.issued < issued < ceiling:
            self.issued = issued

    def call(self, to: Address, number: int, body: Body) -> None:
        """Send a request."""
        self._deliver(to, encode_frame(CALL, number, self.issued, body))

    def answer(self, to: Address, number: int, body: Body) -> None:
        """Send the answer to a request."""
        self._deliver(to, encode_frame(ANSWER, number, self.issued, body))

    def notify(self, to: Address, body: Body) -> None:
        """Send what needs no answer."""
        self._deliver(to, encode_frame(NOTICE, 0, self.issued, body))

    def _deliver(self, to: Address, frame: bytes) -> None:
        if to == self.address and self._receive is not None:
            self._process.call_later(0, self._receive, to, frame)
        else:
            self._send(to, frame)
            self._sent(to, len(frame))
