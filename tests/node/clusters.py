"""Whole clusters of real nodes in a simulated world, and a client that speaks plain frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from fastness.encoding.intervals import SYSTEM_END
from fastness.encoding.timestamps import Timestamp
from fastness.errors import InvalidEncoding, ProtocolMismatch
from fastness.limits import Limits
from fastness.node import Gate, Node, bootstrap
from fastness.placement.descriptors import Descriptor
from fastness.ranges.identity import transaction_id
from fastness.ranges.requests import CommitOne, Content, Decision, Read, ReadAnswer, Write
from fastness.runtime.process import Address
from fastness.storage.cells import value_of
from fastness.testing.simulation import SimulatedProcess, World
from fastness.wire.messages import (
    ANSWER,
    CALL,
    NOTICE,
    Body,
    Draw,
    Drawn,
    Frame,
    MapAnswer,
    MapRequest,
    Refusal,
    decode_frame,
    encode_frame,
)

LIMITS = replace(Limits(), lease_ms=1_000, poll_ms=300, call_ms=200)
STORE = "store-a"


class Asker:
    """A client made of nothing but frames: asks anything of anybody, and routes by the map."""

    def __init__(self, world: World, name: str, nodes: Callable[[], list[Address]]) -> None:
        process = world.process(name)
        self.world = world
        self.process = process
        self.issued: Timestamp = 0
        self.notices: list[Body] = []
        self._nodes = nodes
        self._number = 0
        self._pending: dict[int, asyncio.Future[Body | None]] = {}
        process.listen(self._receive)

    def _receive(self, _sender: Address, data: bytes) -> None:
        try:
            frame: Frame = decode_frame(data)
        except (InvalidEncoding, ProtocolMismatch):
            return  # Damaged on its way: asked again after a while.
        self.issued = max(self.issued, frame.issued)
        if frame.kind == NOTICE:
            self.notices.append(frame.body)
        elif frame.kind == ANSWER:
            future = self._pending.pop(frame.number, None)
            if future is not None and not future.done():
                future.set_result(frame.body)

    async def pause(self, milliseconds: float) -> None:
        """Do nothing for a while."""
        future = self.process.future()
        self.process.call_later(milliseconds, future.set_result, None)
        await future

    async def ask(self, to: Address, body: Body, *, patience_ms: float = 500) -> Body | None:
        """The answer, or `None`."""
        self._number += 1
        return await self.ask_raw(
            to,
            encode_frame(CALL, self._number, self.issued, body),
            self._number,
            patience_ms=patience_ms,
        )

    def send(self, to: Address, body: Body) -> None:
        """Ask, and wait for no answer."""
        self._number += 1
        self.process.send(to, encode_frame(CALL, self._number, self.issued, body))

    async def ask_raw(
        self, to: Address, frame: bytes, number: int, *, patience_ms: float = 500
    ) -> Body | None:
        """The answer to a frame made by hand, or `None`."""
        future: asyncio.Future[Body | None] = self.process.future()
        self._pending[number] = future
        self.process.send(to, frame)
        timer = self.process.call_later(
            patience_ms, lambda: None if future.done() else future.set_result(None)
        )
        answer = await future
        timer.cancel()
        self._pending.pop(number, None)
        return answer

    async def map(self) -> MapAnswer:
        """The range map as some node has it, once all ranges and the oracle are held."""
        while True:
            for node in self._nodes():
                answer = await self.ask(node, MapRequest())
                if isinstance(answer, MapAnswer) and is_settled(answer):
                    return answer
            await self.pause(50)

    async def holder_of(self, key: bytes) -> Descriptor:
        """The range of a key."""
        answer = await self.map()
        return next(one for one in answer.descriptors if one.begin <= key < one.end)

    async def draw(self, count: int = 1) -> Timestamp:
        """Timestamps from the oracle, however long it takes."""
        while True:
            oracle = (await self.map()).oracle
            answer = await self.ask(oracle, Draw(count))
            if isinstance(answer, Drawn):
                self.issued = max(self.issued, answer.first + count - 1)
                return answer.first
            await self.pause(50)

    async def read(self, key: bytes, *, at: Timestamp = 0) -> bytes | None:
        """The value of a key, however long it takes."""
        while True:
            place = await self.holder_of(key)
            answer = await self.ask(
                place.holder, Read(place.range_id, place.generation, [key], at=at)
            )
            if isinstance(answer, ReadAnswer):
                (cell,) = answer.cells
                return None if cell is None else value_of(cell)
            await self.pause(50)

    async def write(self, key: bytes, value: bytes, *, expires_at: Timestamp = 0) -> Timestamp:
        """Commit one key blindly, however often it must be sent; its commit timestamp."""
        nonce = self.process.random.getrandbits(64)
        identity = transaction_id(birth=await self.draw(), nonce=nonce, anchor=key)
        content = Content(
            writes=[Write(key, value, expires_at)], write_keys=[key], size=len(key) + len(value)
        )
        while True:
            place = await self.holder_of(key)
            request = CommitOne(place.range_id, place.generation, identity, self.issued, content)
            answer = await self.ask(place.holder, request)
            if isinstance(answer, Decision):
                assert answer.timestamp, f"{key!r} was aborted"
                return answer.timestamp
            await self.pause(50)


class Cluster:
    """Nodes in a world, over one coordinator and some stores."""

    def __init__(
        self,
        world: World,
        *,
        nodes: int = 3,
        splits: tuple[bytes, ...] = (),
        limits: Limits = LIMITS,
        stores: tuple[str, ...] = (STORE,),
        gate: Gate | None = None,
    ) -> None:
        self.world = world
        self.gate = gate
        self.limits = limits
        self.nodes: dict[str, Node] = {}
        """By address: every one that ever ran."""
        self.stores = stores
        self._splits = splits
        self.names = [f"node-{number}" for number in range(nodes)]
        self.client = Asker(world, "client", self.addresses)

    def addresses(self) -> list[Address]:
        """Those of the nodes that run."""
        return [
            process.address for process in self.world.running() if process.address in self.nodes
        ]

    async def start(self) -> None:
        """Write the first descriptors and start every node."""
        edges = [b"", *self._splits, SYSTEM_END]
        ranges = [
            (begin, end, self.stores[place % len(self.stores)])
            for place, (begin, end) in enumerate(pairwise(edges))
        ]
        coordinator = self.world.coordinator_for(self.world.process("operator"))
        assert await bootstrap(coordinator, ranges)
        assert not await bootstrap(coordinator, ranges)
        for name in self.names:
            self.world.start(name, self.start_node)

    def start_node(self, process: SimulatedProcess) -> None:
        """Start a node in a process."""
        stores = {name: self.world.store_for(process, name) for name in self.stores}
        node = Node(process, self.world.coordinator_for(process), stores, self.limits, self.gate)
        self.nodes[process.address] = node
        node.start()

    def node(self, address: Address) -> Node:
        """The node at an address."""
        return self.nodes[address]

    def name_of(self, address: Address) -> str:
        """The name a node restarts under."""
        return address.partition("#")[0]


def is_settled(answer: MapAnswer) -> bool:
    """Whether the oracle and every range have a holder."""
    held = all(one.holder and not one.released for one in answer.descriptors)
    return bool(answer.oracle and answer.descriptors) and held


def refused(answer: Body | None) -> str:
    """The code of a refusal."""
    assert isinstance(answer, Refusal), f"{answer} is no refusal"
    return answer.code
