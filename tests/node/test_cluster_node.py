"""Nodes that share a coordinator and stores: who may join, what they serve, how they leave."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from fastness.client.transaction import AsyncTransaction
from fastness.errors import (
    FastnessError,
    ForeignStore,
    InvalidEncoding,
    InvalidOption,
    ProtocolMismatch,
    Unreachable,
)
from fastness.node import read_cluster
from fastness.placement.coordinator import CLUSTER, Put
from fastness.placement.membership import StoreRecord, encode_record, store_key
from tests.node.several import CLUSTER_RECORD, LIMITS, Town, away, living


def test_three_nodes_serve_one_database() -> None:
    """Ranges spread over the nodes, and a client of any of them reaches all keys."""

    async def scenario(town: Town) -> None:
        await town.found(b"d", b"h", b"m", b"r", b"v", stores=("a", "b"))
        nodes = await town.start("one", "two", "three")
        await town.until(lambda: sum(len(node.node.leaseholders) for node in nodes) == 6)
        client = town.client(nodes[0])
        keys = [b"b", b"f", b"k", b"p", b"t", b"x"]

        async def write(tx: AsyncTransaction) -> None:
            for key in keys:
                tx.set(key, b"1")

        await client.run(write)
        other = town.client(nodes[2])
        assert await other.get_many(keys) == [b"1"] * 6
        assert all(node.is_ready for node in nodes)
        assert not any(node.counts.alarms for node in nodes)

    living(scenario)


def test_rolling_restart_under_load() -> None:
    """Every node is drained and replaced while clients read and write: none sees an error."""

    async def scenario(town: Town) -> None:
        await town.found(b"h", b"p", stores=("a", "b"))
        running = {node.name: node for node in await town.start("one", "two", "three")}
        client = town.client(*running.values())
        stopping = False
        done = 0

        async def add(tx: AsyncTransaction, key: bytes) -> None:
            tx.set(key, b"%d" % (int(await tx.get(key) or b"0") + 1))
            tx.set(b"z" + key, b"1")

        async def work(key: bytes) -> int:
            nonlocal done
            count = 0
            while not stopping:
                await client.run(add, key)
                count += 1
                done += 1
                assert int(await client.get(key) or b"0") == count
            return count

        async def many_more() -> None:
            seen = done
            await town.until(lambda: done > seen + 20)

        workers = {key: asyncio.create_task(work(key)) for key in (b"a", b"j", b"s")}
        for name in ("one", "two", "three"):
            await many_more()
            await running[name].drain()
            await running[name].stop()
            (running[name],) = await town.start(name)
        await many_more()
        stopping = True
        for key, worker in workers.items():
            count = await worker
            assert int(await client.get(key) or b"0") == count
        assert not any(node.counts.alarms for node in town.nodes)

    living(scenario)


def test_ranges_come_to_a_node_that_joins() -> None:
    """Idle ranges spread by number, and whoever reads and writes them sees no error."""

    async def scenario(town: Town) -> None:
        await town.found(*(b"%02d" % number for number in range(1, 9)))
        (first,) = await town.start("one")
        client = town.client(first)
        await town.until(lambda: len(first.node.leaseholders) == 9)
        await client.set(b"05", b"1")
        second, third = await town.start("two", "three")
        others = (second.node, third.node)
        await town.until(lambda: all(len(node.leaseholders) >= 2 for node in others))
        for number in range(9):
            await client.set(b"%02d" % number, b"2")
        assert await client.get(b"05") == b"2"
        assert first.counts.balanced >= 4

    living(scenario)


def test_a_hot_range_is_split_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """One range with all the load ends up on both nodes."""
    monkeypatch.setattr("fastness.placement.balance.SPLIT_REQUESTS_S", 10.0)

    async def scenario(town: Town) -> None:
        await town.found()
        first, second = await town.start("one", "two")
        client = town.client(first)
        stopping = False

        async def work(number: int) -> None:
            while not stopping:
                await client.get(b"%d" % number)

        workers = [asyncio.create_task(work(number)) for number in range(8)]
        await town.until(lambda: first.node.leaseholders and second.node.leaseholders)
        stopping = True
        await asyncio.gather(*workers)
        assert first.counts.splits + second.counts.splits >= 1

    living(scenario)


def test_a_large_range_is_split() -> None:
    """In halves by its bytes, as a sample of its store tells, until none is too large."""

    async def scenario(town: Town) -> None:
        each = LIMITS.range_bytes / 100
        town.drawn = [(b"%03d" % number, each) for number in range(250)]
        await town.found()
        (node,) = await town.start("one")
        await town.until(lambda: len(node.node.leaseholders) == 4)
        report = node.node.report()
        assert max(one.size_bytes for one in report.ranges) <= LIMITS.range_bytes
        assert [store.keys for store in report.stores] == [250]

    living(scenario)


def test_a_name_is_one_living_nodes() -> None:
    """A second node of a name is refused while the first lives, and let in once it is gone."""

    async def scenario(town: Town) -> None:
        await town.found()
        (first,) = await town.start("one")
        second = town.node("one")
        with pytest.raises(InvalidOption, match=f"'one' lives at {first.address}"):
            await second.start()
        await second.stop()
        # As after a crash: its session runs out, and the successor waits for that.
        await first.stop()
        (third,) = await town.start("one")
        assert third.is_ready

    living(scenario)


def test_stores_are_opened_as_they_come() -> None:
    """A store that is away or added later is served once it is there; others meanwhile."""

    async def scenario(town: Town) -> None:
        town.unusable["b"] = away("b")
        await town.found(b"m", stores=("a", "b"))
        (node,) = await town.start("one")
        client = town.client(node)
        await client.set(b"a", b"1")
        assert node.keeper.problems.keys() == {"b"}
        del town.unusable["b"]
        await client.set(b"x", b"1")
        assert not node.keeper.problems
        await town.add_store("c")
        await town.until(lambda: "c" in node.keeper.stores)

    living(scenario)


def test_a_store_that_is_no_longer_registered() -> None:
    """It is let go of, but not while a range of it is held."""

    async def scenario(town: Town) -> None:
        await town.found(stores=("a", "b"))
        (node,) = await town.start("one")
        await town.until(lambda: set(node.keeper.stores) == {"a", "b"})
        await town.until(lambda: len(node.node.leaseholders) == 1)
        await town.coordinator.write({}, [], (store_key("a"), store_key("b")))
        await town.until(lambda: set(node.keeper.stores) == {"a"})
        assert await town.client(node).get(b"a") is None

    living(scenario)


@pytest.mark.parametrize("error", [ForeignStore("of another cluster"), InvalidOption("fsync=off")])
def test_a_store_that_must_not_be_used(error: FastnessError) -> None:
    """What no waiting mends ends the start with the store's name and the reason."""

    async def scenario(town: Town) -> None:
        town.unusable["a"] = error
        await town.found()
        node = town.node("one")
        with pytest.raises(type(error), match=f"store a: {error}"):
            await node.start()

    living(scenario)


def test_an_own_url_of_a_store() -> None:
    """A node may reach a store otherwise than it is registered, but only one that is."""

    async def scenario(town: Town) -> None:
        await town.found()
        node = town.node("one", {"a": StoreRecord("a", "memory://elsewhere")})
        await node.start()
        assert set(town.homes) == {"memory://elsewhere"}
        other = town.node("two", {"b": StoreRecord("b", "memory://b")})
        with pytest.raises(InvalidOption, match=r"'b' is not registered in this cluster \(a\)"):
            await other.start()

    living(scenario)


def test_a_node_joins_only_its_own_cluster() -> None:
    """No cluster, another protocol, another format, bytes that are none: each is told."""

    async def scenario(town: Town) -> None:
        coordinator = town.coordinator
        with pytest.raises(InvalidOption, match="fastness cluster init"):
            await read_cluster(coordinator)
        await town.found()
        assert await read_cluster(coordinator) == CLUSTER_RECORD
        assert "a secret" not in repr(CLUSTER_RECORD)
        wrong: list[tuple[bytes, type[FastnessError]]] = [
            (encode_record(structs.replace(CLUSTER_RECORD, protocol=99)), ProtocolMismatch),
            (encode_record(structs.replace(CLUSTER_RECORD, format=99)), ForeignStore),
            (b"\xc1", InvalidEncoding),
        ]
        for value, error in wrong:
            await coordinator.write({}, [Put(CLUSTER, value)])
            with pytest.raises(error):
                await read_cluster(coordinator)

    living(scenario)


def test_a_store_record_that_cannot_be_read() -> None:
    """It keeps a node from starting, with an error and not a hang."""

    async def scenario(town: Town) -> None:
        await town.found()
        await town.coordinator.write({}, [Put(store_key("bad"), b"\xc1")])
        with pytest.raises(InvalidEncoding, match="StoreRecord"):
            await town.node("one").start()

    living(scenario)


def test_nothing_is_served_without_any_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that cannot come into service ends with the reason, in bounded time."""
    monkeypatch.setattr("fastness.node.cluster_node.READY_MS_MAX", 200)

    async def scenario(town: Town) -> None:
        await town.coordinator.write({}, [Put(CLUSTER, encode_record(CLUSTER_RECORD))])
        await town.add_store("a")
        with pytest.raises(Unreachable, match="did not come into service within 200 ms"):
            await town.node("one").start()

    living(scenario)
