"""Calls: answered, silent, refused; and frames that are not acted on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fastness.client.cluster.calls import Calls, Reply
from fastness.client.cluster.reads import Reader
from fastness.client.cluster.routing import Routes
from fastness.client.cluster.timestamps import Timestamps
from fastness.encoding.intervals import SYSTEM_END, KeyInterval
from fastness.errors import DatabaseClosed, InvalidEncoding, InvalidOption, Overloaded, Unreachable
from fastness.limits import Limits
from fastness.placement.descriptors import Descriptor
from fastness.ranges.requests import Done, Read, ReadAnswer
from fastness.runtime.process import Address
from fastness.testing.simulation import SimulatedProcess, World
from fastness.wire.messages import (
    ANSWER,
    CALL,
    NOTICE,
    Body,
    Drain,
    Frame,
    MapAnswer,
    MapRequest,
    Refusal,
    decode_frame,
    encode_frame,
)

LIMITS = replace(Limits(), call_ms=100, operation_ms=1_500)


class Peer:
    """A process that answers by a table: what it says is up to the test."""

    def __init__(self, process: SimulatedProcess) -> None:
        self.process = process
        self.heard: list[Body] = []
        self.answers: list[Body | None] = []
        self.map: list[Descriptor] = []
        self.nodes: list[Address] = [process.address]
        process.listen(self.receive)

    def receive(self, sender: Address, data: bytes) -> None:
        """Answer with the next of `answers`; `None` is silence."""
        frame: Frame = decode_frame(data)
        body: Body | None
        if isinstance(frame.body, MapRequest):
            body = MapAnswer(self.map, "", self.nodes)
        else:
            self.heard.append(frame.body)
            body = self.answers.pop(0) if self.answers else None
        if body is not None:
            self.process.send(sender, encode_frame(ANSWER, frame.number, 7, body))


def test_a_call_that_was_never_sent() -> None:
    """It is refused at once, with the reason; what is no call of ours changes nothing."""
    with World(seed=1) as world:
        calls = Calls(world.process("app"), LIMITS)
        calls.process.listen(lambda _sender, _frame: None)

        async def scenario() -> None:
            waiting = calls.ask("nobody", Drain())
            frames = [
                encode_frame(CALL, 99, 0, Drain()),
                encode_frame(NOTICE, 0, 0, Done()),
                encode_frame(CALL, calls.number, 0, Drain()),
            ]
            calls.undelivered(frames, Unreachable("nobody is there"))
            assert await waiting == Refusal("unreachable", "nobody is there")
            assert len(calls) == 0

        world.run(scenario())


def test_calls_over_a_connection_that_broke_are_not_waited_for() -> None:
    """They may have been carried out or not, as with any silence; others are waited for."""
    with World(seed=1) as world:
        calls = Calls(world.process("app"), LIMITS)

        async def scenario() -> None:
            there = [calls.ask("peer", Drain()) for _ in range(2)]
            elsewhere = calls.ask("other", Drain())
            calls.lost("peer")
            assert [await one for one in there] == [None, None]
            assert not elsewhere.done()
            assert len(calls) == 1
            calls.close()

        world.run(scenario())


def test_a_call_that_was_given_up_and_never_sent() -> None:
    """Who wants to know is told, whether the call still waited or not."""
    with World(seed=1) as world:
        calls = Calls(world.process("app"), LIMITS)
        heard: list[object] = []

        async def scenario() -> None:
            given_up = calls.process.future()
            calls.call("nobody", Drain(), given_up.set_result, unsent=heard.append)
            first = encode_frame(CALL, calls.number, 0, Drain())
            assert await given_up is None
            calls.call("nobody", Drain(), heard.append, unsent=heard.append)
            second = encode_frame(CALL, calls.number, 0, Drain())
            reason = Unreachable("nobody is there")
            calls.undelivered([first, second], reason)
            calls.undelivered([first, second], reason)
            assert heard == [reason, reason]

        world.run(scenario())


def test_an_answer_reaches_who_asked() -> None:
    """The number brings it; the timestamp it carries is learned; its number is used up."""
    with World(seed=1) as world:
        peer = Peer(world.process("peer"))
        calls = Calls(world.process("app"), LIMITS)
        peer.answers = [Done()]

        async def scenario() -> None:
            assert calls.issued == 0
            assert await calls.ask("peer", Drain()) == Done()
            assert calls.issued == 7
            peer.process.send("app", encode_frame(ANSWER, calls.number, 9, Done()))
            await world.sleep(10)
            assert calls.counts.misrouted == 1
            assert calls.issued == 7

        world.run(scenario())


def test_silence_is_told_in_time_and_in_order() -> None:
    """Whoever is not answered hears `None` after `call_ms`, the first caller first."""
    with World(seed=1) as world:
        _peer = Peer(world.process("peer"))
        calls = Calls(world.process("app"), LIMITS)
        told: list[int] = []

        async def scenario() -> None:
            for number in range(3):

                def done(reply: Reply, number: int = number) -> None:
                    assert reply is None
                    told.append(number)

                calls.call("peer", Drain(), done)
                await world.sleep(30)
            assert told == []
            await world.sleep(30)
            assert told == [0]
            await world.sleep(200)
            assert told == [0, 1, 2]
            assert not len(calls)

        world.run(scenario())


def test_what_is_not_meant_for_a_client_is_counted() -> None:
    """Noise, other protocols, calls, notices and answers of somebody else change nothing."""
    with World(seed=1) as world:
        peer, other = Peer(world.process("peer")), Peer(world.process("other"))
        calls = Calls(world.process("app"), LIMITS)

        async def scenario() -> None:
            waiting = calls.ask("peer", Drain())
            for frame in (
                b"noise",
                bytes([0x95, 0x09, 0, 1, 0, 0]),
                encode_frame(CALL, 1, 99, Drain()),
                encode_frame(NOTICE, 0, 99, Done()),
                encode_frame(ANSWER, calls.number, 99, Done()),
            ):
                other.process.send("app", frame)
            await world.sleep(20)
            assert (calls.counts.malformed, calls.counts.other_protocol) == (1, 1)
            assert calls.counts.misrouted == 3
            assert calls.issued == 0
            peer.process.send("app", encode_frame(ANSWER, calls.number, 3, Done()))
            assert await waiting == Done()

        world.run(scenario())


def test_too_many_calls_and_none_after_the_end() -> None:
    """The bound refuses retryably; a close answers everybody and refuses the rest for good."""
    with World(seed=1) as world:
        calls = Calls(world.process("app"), replace(LIMITS, calls_in_flight=2))

        async def scenario() -> None:
            waiting = [calls.ask("nobody", Drain()) for _ in range(2)]
            with pytest.raises(Overloaded):
                await calls.ask("nobody", Drain())
            calls.close()
            assert await asyncio.gather(*waiting) == [None, None]
            with pytest.raises(DatabaseClosed):
                await calls.ask("nobody", Drain())

        world.run(scenario())


def test_somebody_must_be_known() -> None:
    """A client without the address of any node is refused."""
    with World(seed=1) as world:
        calls = Calls(world.process("app"), LIMITS)
        with pytest.raises(InvalidOption):
            Routes(calls, [], LIMITS)


def place(number: int, begin: bytes, end: bytes, holder: str, **other: int) -> Descriptor:
    """A descriptor."""
    return Descriptor(number, begin, end, other.get("generation", 1), "s", 1, holder)


class Lookup:
    """A client's reader over peers that a test directs."""

    def __init__(self, world: World, names: list[str]) -> None:
        self.peers = {name: Peer(world.process(name)) for name in names}
        calls = Calls(world.process("app"), LIMITS)
        self.routes = Routes(calls, names, LIMITS)
        timestamps = Timestamps(calls, self.routes, LIMITS)
        self.reader = Reader(calls, self.routes, timestamps, LIMITS)

    def share(self, *descriptors: Descriptor) -> None:
        """Let every peer know this map."""
        for peer in self.peers.values():
            peer.map = list(descriptors)
            peer.nodes = list(self.peers)


def answer(*cells: bytes | None) -> ReadAnswer:
    """An answer to point reads."""
    return ReadAnswer(list(cells), [], complete=False, at=5)


def test_a_refusal_corrects_the_map() -> None:
    """The descriptors it brings are used at once, without asking for the whole map."""
    with World(seed=1) as world:
        lookup = Lookup(world, ["one", "two"])
        lookup.share(place(1, b"", SYSTEM_END, "one"))
        one, two = lookup.peers.values()
        halves = [
            place(2, b"", b"m", "one", generation=2),
            place(3, b"m", SYSTEM_END, "two", generation=2),
        ]
        one.answers = [Refusal("range_moved", "split", descriptors=halves), answer(b"x")]
        two.answers = [answer(b"y")]

        async def scenario() -> None:
            assert await lookup.reader.cells([b"a", b"z"], 5) == {b"a": b"x", b"z": b"y"}
            assert [one.keys for one in two.heard if isinstance(one, Read)] == [[b"z"]]
            assert await lookup.reader.cells([], 5) == {}

        world.run(scenario())


def test_answers_that_do_not_fit_are_not_believed() -> None:
    """An answer of another kind or length is asked for again, until time is over."""
    with World(seed=1) as world:
        lookup = Lookup(world, ["one"])
        lookup.share(place(1, b"", SYSTEM_END, "one"))
        (one,) = lookup.peers.values()
        one.answers = [Done(), answer(), answer(b"x", b"y"), answer(b"x")]

        async def scenario() -> None:
            assert await lookup.reader.cell(b"a", 5) == b"x"
            one.answers = [ReadAnswer([], [], complete=False, at=5)]
            with pytest.raises(InvalidEncoding, match="says that there is more"):
                await lookup.reader.scan(KeyInterval(b"a", b"b"), 5, 5, reverse=False)
            with pytest.raises(Unreachable):
                await lookup.reader.cell(b"a", 5)

        world.run(scenario())


def test_nodes_that_restarted_are_found_again() -> None:
    """When every node known is silent, those of the beginning are asked again."""
    with World(seed=1) as world:
        lookup = Lookup(world, ["one"])
        lookup.share(place(1, b"", SYSTEM_END, "one"))
        (one,) = lookup.peers.values()

        async def scenario() -> None:
            one.nodes = ["gone-1", "gone-2"]
            await lookup.routes.refreshed()
            assert lookup.routes.nodes == ["gone-1", "gone-2"]
            one.nodes = ["one"]
            for _ in range(4):
                await lookup.routes.refreshed()
            assert lookup.routes.nodes == ["one"]

        world.run(scenario())
