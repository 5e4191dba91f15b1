"""The operator of a simulated cluster: splits, merges, moves, transfers, drains, without mercy.

What is asked may be refused, overtaken or lost; the operator looks at the map and asks for
something else. A node that was drained is restarted, as in a rolling upgrade.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from fastness.client.cluster import ClusterClient
from fastness.errors import FastnessError
from fastness.placement.cluster_view import (
    decode_descriptor,
    decode_oracle,
    encode_descriptor,
    range_key,
)
from fastness.placement.coordinator import ORACLE, Put
from fastness.placement.descriptors import Descriptor
from fastness.ranges.identity import TransactionId
from fastness.testing.simulation.coordinator import COORDINATOR
from fastness.testing.simulation.world import World
from fastness.testing.told import Told
from fastness.wire.messages import (
    Body,
    Drain,
    MergeRange,
    MoveRange,
    SplitRange,
    TransferLease,
)

TEMPTED = 0.7
"""How often the operator goes for a range that holds prepared transactions, if there is one."""

ORACLE_DISOWNED = 0.25
CUT_OFF = 0.9

RANGES_MAX = 24
"""Beyond so many ranges nothing is split any more."""


class Sights(NamedTuple):
    """What an operator sees of a cluster from outside, each time it looks."""

    nodes: Callable[[], list[str]]
    """Addresses that live."""
    some_key: Callable[[Random], bytes | None]
    """A key that somebody uses."""
    tempting: Callable[[], list[int]]
    """Ranges that hold prepared transactions: the worst moment to change them."""
    under_way: Callable[[], list[TransactionId]]
    """Ids of commits that others are waiting for."""


class Operator:
    """Asks for changes of the cluster through a client's map and calls."""

    def __init__(self, world: World, client: ClusterClient, sights: Sights) -> None:
        self.world = world
        self.client = client
        self.sights = sights
        self.told: list[Told] = []
        """What it heard of the transactions it asked for."""
        self.coordinator = world.coordinator_for(world.process("operator"))
        self.random = world.stream("operator")
        self.asked: Counter[str] = Counter()
        self.stopping = False
        self.rest_ms = 10.0 ** self.random.uniform(1.2, 2.8)
        """Between two changes, on average."""

    async def work(self) -> None:
        """One change after another, until told to stop."""
        random = self.random
        changes = (self._split, self._split, self._merge, self._transfer, self._transfer)
        while not self.stopping:
            await asyncio.sleep(random.expovariate(1.0) * self.rest_ms / 1_000)
            try:
                await self.client.core.routes.refreshed()
                roll = random.random()
                if roll < 0.06:
                    await self._drain()
                elif roll < 0.13:
                    await self._disown()
                elif roll < 0.3:
                    await self._inquire()
                elif roll < 0.4:
                    await self._move()
                else:
                    await random.choice(changes)()
            except FastnessError:
                continue

    def _ranges(self) -> list[Descriptor]:
        return [one for one in self.client.core.routes.map if one.holder]

    def _victim(self) -> Descriptor | None:
        """A range to do something to, rather one that is in the middle of something."""
        ranges = self._ranges()
        tempting = set(self.sights.tempting())
        busy = [one for one in ranges if one.range_id in tempting]
        if busy and self.random.random() < TEMPTED:
            return self.random.choice(busy)
        return self.random.choice(ranges) if ranges else None

    async def _ask(self, what: str, to: str, body: Body) -> None:
        self.asked[what] += 1
        await self.client.core.calls.ask(to, body)

    async def _split(self) -> None:
        key = self.sights.some_key(self.random)
        ranges = self._ranges()
        if key is None or len(ranges) >= RANGES_MAX:
            return
        for one in ranges:
            if one.begin < key < one.end:
                await self._ask("split", one.holder, SplitRange(one.range_id, one.generation, key))

    async def _merge(self) -> None:
        """Merge two neighbours of one store, brought together first if need be."""
        ranges = sorted(self._ranges(), key=lambda one: one.begin)
        pairs = [
            (left, right)
            for left, right in pairwise(ranges)
            if left.end == right.begin and left.store == right.store
        ]
        if not pairs:
            return
        left, right = self.random.choice(pairs)
        if left.holder != right.holder:
            move = TransferLease(right.range_id, right.generation, left.holder)
            await self._ask("transfer", right.holder, move)
            await asyncio.sleep(0.05)
        merge = MergeRange(left.range_id, left.generation)
        await self._ask("merge", left.holder, merge)

    async def _transfer(self) -> None:
        one = self._victim()
        if one is not None:
            to = self.random.choice(self.sights.nodes())
            body = TransferLease(one.range_id, one.generation, to)
            await self._ask("transfer", one.holder, body)

    async def _move(self) -> None:
        """Carry a range to another store."""
        one = self._victim()
        if one is not None:
            others = [store.name for store in self.world.stores() if store.name != one.store]
            body = MoveRange(one.range_id, one.generation, self.random.choice(others))
            await self._ask("move", one.holder, body)

    async def _inquire(self) -> None:
        """Ask what becomes of somebody else's commit under way, as whoever restarted would."""
        under_way = self.sights.under_way()
        if under_way:
            self.asked["outcome"] += 1
            # Rather one that was just sent: it may not have arrived.
            identity = under_way[max(self.random.randrange(len(under_way)) for _ in range(2))]
            committed = await self.client.outcome(identity)
            self.told.append(Told(identity, committed or 0))

    async def _disown(self) -> None:
        """Write by hand that nobody holds a range, or the oracle's role, as nobody should.

        The holder's session lives on. Mostly it is cut off just then, so that it does not see
        the change before its lease has run out: whoever takes over must have waited for that.
        """
        random, ranges = self.random, self._ranges()
        if not ranges:
            return
        victim = random.choice(ranges)
        key = ORACLE if random.random() < ORACLE_DISOWNED else range_key(victim.range_id)
        _, entries = await self.coordinator.read(key)
        entry = entries.get(key)
        if entry is None:
            return
        found = decode_oracle(entry.value) if key == ORACLE else decode_descriptor(entry.value)
        self.asked["disown"] += 1
        if random.random() < CUT_OFF:
            self._cut_off(found.holder.partition("#")[0], random.uniform(0.5, 3.0))
        free = encode_descriptor(replace(found, holder="", session=0))
        await self.coordinator.write({key: entry.revision}, [Put(key, free)])

    def _cut_off(self, name: str, leases: float) -> None:
        """Part a node from the coordinator for a while, and mostly from the other nodes.

        It then has no timestamps to write with, whereupon the store would fence it, but goes on
        reading for clients that know no better.
        """
        network = self.world.network
        others = [COORDINATOR]
        if self.random.random() < CUT_OFF:
            others += [one.name for one in self.world.running() if one.name.startswith("node-")]
            others = [one for one in others if one != name]
        for ends in (([name], others), (others, [name])):
            cut = network.cut(*ends)
            self.world.call_later(leases * self.client.limits.lease_ms, cut.heal)

    async def _drain(self) -> None:
        """Drain a node, and restart it whether or not it has finished."""
        address = self.random.choice(self.sights.nodes())
        await self._ask("drain", address, Drain())
        await asyncio.sleep(self.random.uniform(0.0, 0.5))
        for process in self.world.running():
            if process.address == address:
                self.asked["restart"] += 1
                self.world.call_later(0.0, self.world.restart, process.name)
