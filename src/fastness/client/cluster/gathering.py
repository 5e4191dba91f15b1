"""Point reads of many tasks in one frame, without anybody asking for that.

A read that is asked for while none is out leaves at once: a lone reader waits for nothing. While
some are out, what the tasks of one turn of the loop ask for gathers, and leaves together when
the turn is over: one frame for each range and timestamp. So 64 tasks that read again and again
send one frame a turn, and a key more costs the node next to nothing.

One of them that must wait, as its key is being written, is left out of the answer, and asked for
again without the others: a hot key slows nobody else down.

A read is only ever answered by a frame sent after it was asked for, as any other.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

from fastness.client.cluster.calls import Calls, Reply
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.limits import Limits
from fastness.placement.descriptors import Descriptor
from fastness.ranges.requests import Read, ReadAnswer


class Missed(NamedTuple):
    """A read that was not answered with a cell."""

    reply: Reply
    alone: bool
    """Whether the reply is about this key and no other's."""


Found = asyncio.Future[bytes | None | Missed]


class _Frame:
    """Reads of one range at one timestamp that travel together."""

    __slots__ = ("at", "descriptor", "founds", "keys")

    def __init__(self, descriptor: Descriptor, at: Timestamp) -> None:
        self.descriptor = descriptor
        self.at = at
        self.keys: list[bytes] = []
        self.founds: list[Found] = []


class GatheredReads:
    """See the module's page."""

    def __init__(self, calls: Calls, limits: Limits) -> None:
        self._calls = calls
        self._keys_max = limits.read_keys
        self._gathering: dict[tuple[int, Timestamp], _Frame] = {}
        """By range and timestamp; what leaves when the turn is over."""
        self._out = 0
        """Frames that are not answered."""

    def ask(self, descriptor: Descriptor, key: bytes, at: Timestamp) -> Found:
        """The cell of a key as of `at` (0: the latest)."""
        found: Found = self._calls.process.future()
        if not self._out:
            frame = _Frame(descriptor, at)
            frame.keys.append(key)
            frame.founds.append(found)
            self._send(frame)
            return found
        place = (descriptor.range_id, at)
        gathering = self._gathering.get(place)
        if gathering is None or gathering.descriptor is not descriptor:
            if not self._gathering:
                self._calls.require_open()
                self._calls.process.call_later(0, self._turn_over)
            elif gathering is not None:
                # The map changed within the turn: what was asked before goes by the old one.
                self._send(gathering)
            gathering = self._gathering[place] = _Frame(descriptor, at)
        gathering.keys.append(key)
        gathering.founds.append(found)
        if len(gathering.keys) >= self._keys_max:
            # The place stays taken, so that the turn's end is not asked for twice.
            self._gathering[place] = _Frame(descriptor, at)
            self._send(gathering)
        return found

    def _turn_over(self) -> None:
        frames, self._gathering = self._gathering, {}
        for frame in frames.values():
            if frame.keys:
                self._send(frame)

    def _send(self, frame: _Frame) -> None:
        descriptor = frame.descriptor
        body = Read(
            descriptor.range_id, descriptor.generation, frame.keys, None, frame.at, each=True
        )
        try:
            self._calls.call(descriptor.holder, body, partial(self._answered, frame))
        except FastnessError as error:
            for found in frame.founds:
                if not found.done():
                    # Each its own: one instance raised in two tasks would mix tracebacks.
                    found.set_exception(type(error)(*error.args))
        else:
            self._out += 1

    def _ask_again(self, frame: _Frame, places: list[int]) -> None:
        """The answer left these out: they waited for something, or it had no room for them."""
        rest = _Frame(frame.descriptor, frame.at)
        for place in places:
            if not 0 <= place < len(frame.founds):
                continue
            rest.keys.append(frame.keys[place])
            rest.founds.append(frame.founds[place])
        self._send(rest)

    def _answered(self, frame: _Frame, reply: Reply) -> None:
        self._out -= 1
        founds = frame.founds
        if type(reply) is ReadAnswer and 0 < len(reply.cells) <= len(founds):
            later = dict.fromkeys([*reply.waiting, *range(len(reply.cells), len(founds))])
            if later:
                self._ask_again(frame, list(later))
            for place, cell in enumerate(reply.cells):
                if place not in later and not founds[place].done():
                    founds[place].set_result(cell)
            return
        missed = Missed(reply, len(founds) == 1)
        for found in founds:
            if not found.done():
                found.set_result(missed)
