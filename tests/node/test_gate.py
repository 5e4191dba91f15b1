"""A gate in front of a node: what it does not let in is not done, what it lets in it sees end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import FastnessError, PermissionDenied
from fastness.node import Node, OpenGate
from fastness.placement.descriptors import Descriptor
from fastness.ranges.identity import transaction_id
from fastness.ranges.requests import CommitOne, Content, RangeRequest, Read, Write
from fastness.runtime.process import Address
from fastness.testing.simulation import World
from fastness.wire.messages import CALL, Frame, SplitRange, encode_frame
from tests.node.clusters import Asker, Cluster, refused


class Counted:
    """A request that is being worked on."""

    def __init__(self, open_ones: dict[int, RangeRequest], number: int) -> None:
        self._open = open_ones
        self._number = number

    def ended(self, _error: FastnessError | None) -> None:
        """It ends once."""
        del self._open[self._number]


class NoSplits(OpenGate):
    """Lets nobody split, nor anything in while it is shut; believes nobody; keeps account."""

    __slots__ = ("bytes_sent", "is_shut", "open", "seen")

    def __init__(self) -> None:
        self.open: dict[int, RangeRequest] = {}
        self.seen: list[type[RangeRequest]] = []
        self.bytes_sent = 0
        self.is_shut = False

    def refusal(self, _sender: Address, frame: Frame, size: int) -> FastnessError | None:
        """Splits are refused."""
        assert size > 0
        if self.is_shut or isinstance(frame.body, SplitRange):
            return PermissionDenied("a split, of you: ask an operator")
        return None

    def believes(self, _sender: Address) -> bool:
        """Nobody."""
        return False

    def began(self, _sender: Address, request: RangeRequest) -> Counted:
        """Number the requests."""
        self.seen.append(type(request))
        self.open[len(self.seen)] = request
        return Counted(self.open, len(self.seen))

    def sent(self, _to: Address, size: int) -> None:
        """Add it up."""
        self.bytes_sent += size


Scenario = Callable[[Asker, Node, Descriptor, NoSplits], Coroutine[Any, Any, None]]


def with_gate(scenario: Scenario) -> None:
    """Run a scenario against one node behind the gate."""
    with World(seed=scenario.__name__) as world:
        gate = NoSplits()
        cluster = Cluster(world, nodes=1, gate=gate)

        async def run() -> None:
            await cluster.start()
            await cluster.client.write(b"a", b"1")
            place = await cluster.client.holder_of(b"a")
            await scenario(cluster.client, cluster.node(place.holder), place, gate)

        world.run(run())


def test_what_is_not_let_in_is_not_done() -> None:
    """A request that the gate refuses gets the gate's error, and nothing happens."""

    async def scenario(client: Asker, node: Node, place: Descriptor, _gate: NoSplits) -> None:
        request = SplitRange(place.range_id, place.generation, b"m")
        assert refused(await client.ask(node.address, request)) == "permission_denied"
        assert node.counts.forbidden == 1
        assert node.counts.splits == 0

    with_gate(scenario)


def test_a_commit_that_is_not_let_in_never_will_be() -> None:
    """Its second copy is dropped, even if the gate would let it in by then."""

    async def scenario(client: Asker, node: Node, place: Descriptor, gate: NoSplits) -> None:
        content = Content(writes=[Write(b"b", b"1")], write_keys=[b"b"], size=2)
        identity = transaction_id(birth=await client.draw(), nonce=1, anchor=b"b")
        request = CommitOne(place.range_id, place.generation, identity, client.issued, content)
        frame = encode_frame(CALL, 777, client.issued, request)
        gate.is_shut = True
        answer = await client.ask_raw(node.address, frame, 777)
        assert refused(answer) == "permission_denied"
        gate.is_shut = False
        assert await client.ask_raw(node.address, frame, 777, patience_ms=100) is None
        assert await client.read(b"b") is None
        assert node.counts.repeated == 1

    with_gate(scenario)


def test_each_request_that_began_ends() -> None:
    """Reads and commits are seen to begin and to end, and answers to be sent."""

    async def scenario(client: Asker, node: Node, place: Descriptor, gate: NoSplits) -> None:
        assert await client.read(b"a") == b"1"
        assert Read in gate.seen
        assert not gate.open
        assert gate.bytes_sent > 0
        client.send(node.address, Read(place.range_id, place.generation, [b"a"]))
        node.stop()
        assert not gate.open

    with_gate(scenario)


def test_strangers_are_not_believed() -> None:
    """Which timestamps were issued is not taken from a sender that the gate does not believe."""

    async def scenario(client: Asker, node: Node, place: Descriptor, _gate: NoSplits) -> None:
        before = next(iter(node.leaseholders.values())).ports.issued()
        body = Read(place.range_id, place.generation, [b"a"])
        claimed = before + from_milliseconds(1)
        await client.ask_raw(node.address, encode_frame(CALL, 999_999, claimed, body), 999_999)
        assert next(iter(node.leaseholders.values())).ports.issued() < claimed

    with_gate(scenario)
