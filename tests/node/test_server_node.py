"""One server on the real loop: what it serves, how it ends, and what its successor finds."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

import fastness
from fastness.client.transaction import AsyncTransaction
from fastness.encoding.timestamps import to_milliseconds
from fastness.errors import Conflict, DirectoryHeld
from fastness.hosting.marks import CACHES_MARK
from fastness.limits import Limits
from fastness.runtime import ManualClock
from fastness.storage import RocksStore
from tests.node.servers import Premises, serving


async def increment(tx: AsyncTransaction, key: bytes) -> int:
    """Read, add one, write."""
    number = int(await tx.get(key) or b"0") + 1
    tx.set(key, b"%d" % number)
    return number


@pytest.mark.parametrize("durable", [False, True])
def test_it_serves_what_a_cluster_serves(durable: bool, tmp_path: Path) -> None:
    """Reads, commits, read-modify-write transactions, scans and time travel; a client's calls."""

    async def scenario(premises: Premises) -> None:
        server = await premises.start()
        assert server.is_ready
        client = premises.client()
        first = await client.set(b"a", b"1")
        assert await client.get(b"a") == b"1"
        assert await client.get(b"b") is None
        assert [await client.run(increment, b"n") for _ in range(5)] == [1, 2, 3, 4, 5]
        page = await client.scan(b"a", b"z")
        assert page.entries == [(b"a", b"1"), (b"n", b"5")]
        async with client.transaction(at=first) as tx:
            assert await tx.get(b"n") is None
        assert server.counts.alarms == 0

    serving(scenario, tmp_path / "data" if durable else None)


def test_a_successor_serves_at_once_what_was_acknowledged(tmp_path: Path) -> None:
    """Without drain: no lease is waited for, and no timestamp is issued twice."""

    async def scenario(premises: Premises) -> None:
        server = await premises.start()
        client = premises.client()
        last = await client.set(b"a", b"1")
        issued = server.node.issued
        await server.stop()
        limits = premises.limits
        # Whoever would wait for the predecessor's lease would wait longer than this test.
        premises.limits = replace(limits, lease_ms=3_600_000)
        await premises.start()
        again = premises.client()
        assert await again.get(b"a") == b"1"
        assert await again.set(b"a", b"2") > max(last, issued)

    serving(scenario, tmp_path / "data")


def test_a_drained_server_leaves_the_time_as_it_is(tmp_path: Path) -> None:
    """The next one's timestamps are not ahead of the clock, as they are after a crash."""

    async def scenario(premises: Premises) -> None:
        limits = Limits(ceiling_ms=3_600_000)
        premises.limits = limits
        server = await premises.start()
        await premises.client().set(b"a", b"1")
        await server.drain()
        assert not server.is_ready
        await server.stop()
        await premises.start()
        at = await premises.client().set(b"a", b"2")
        assert to_milliseconds(at) < time.time() * 1_000 + 60_000

    serving(scenario, tmp_path / "data")


def test_a_directory_is_embedded_and_served_in_turn(tmp_path: Path) -> None:
    """Each finds what the other committed, at timestamps that only rise; one at a time has it."""
    data = tmp_path / "data"
    with fastness.open(f"file:{data}") as database:
        stamps = [database.set(b"turn", b"embedded 1")]

    async def scenario(premises: Premises) -> None:
        server = await premises.start()
        client = premises.client()
        value = await client.get(b"turn")
        assert value is not None
        with pytest.raises(DirectoryHeld):
            fastness.open(f"file:{data}")
        stamps.append(await client.set(b"turn", value.replace(b"embedded", b"served")))
        await server.drain()

    for number in (1, 2):
        serving(scenario, data)
        with fastness.open(f"file:{data}") as database:
            assert database.get(b"turn") == b"served %d" % number
            stamps.append(database.set(b"turn", b"embedded %d" % (number + 1)))
    assert stamps == sorted(stamps)


def test_caches_are_recorded_before_they_are_granted(tmp_path: Path) -> None:
    """A successor of a crash commits only once they have ended; after a drain there is no need."""

    async def scenario(premises: Premises) -> None:
        server = await premises.start()
        caching = premises.client(cache=True)
        await caching.set(b"a", b"1")

        async def is_cached() -> bool:
            await caching.get(b"a")
            return caching.counts.cache.hits > 0

        while not await is_cached():
            pass
        await server.stop()
        begun_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        server = await premises.start()
        waited_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - begun_ns
        assert waited_ns > premises.limits.cache_lease_ms * 1_000_000
        await server.drain()
        await server.stop()
        store = premises.open_store()
        assert store.state(CACHES_MARK) is None
        store.close()

    serving(scenario, tmp_path / "data", replace(Limits(), cache_lease_ms=200))


def test_a_closed_directory_is_free(tmp_path: Path) -> None:
    """Stopping gives the directory up, also when it was never drained."""

    async def scenario(premises: Premises) -> None:
        server = await premises.start()
        await server.stop()
        await server.stop()
        RocksStore.open(tmp_path / "data").close()
        assert not server.is_ready

    serving(scenario, tmp_path / "data")


def test_many_clients_at_once_lose_nothing(tmp_path: Path) -> None:
    """64 tasks raise one counter and many others; what was acknowledged is there."""

    async def scenario(premises: Premises) -> None:
        await premises.start()
        client, other = premises.client(), premises.client()
        done = 0

        async def work(number: int) -> None:
            nonlocal done
            user = client if number % 2 else other
            for _ in range(5):
                await user.run(increment, b"own %d" % number)
                await user.add(b"shared", 1)
            done += 1

        process = premises.network.process("crowd")
        for number in range(64):
            task = process.spawn(work(number), name=f"worker {number}")
            assert not task.done()
        await premises.until(lambda: done == 64)
        shared = await client.get(b"shared")
        assert shared is not None
        assert int.from_bytes(shared, "little") == 64 * 5
        for number in range(64):
            assert await other.get(b"own %d" % number) == b"5"

    serving(scenario, tmp_path / "data")


def test_a_machine_that_was_suspended_serves_on() -> None:
    """Its leases are found lapsed and proved again; no session is lost, nothing is taken over."""

    async def scenario(premises: Premises) -> None:
        premises.clock = clock = ManualClock()
        server = await premises.start()
        client = premises.client()
        await client.set(b"a", b"1")
        before = (server.counts.sessions, server.counts.claims_won)
        renewals = server.counts.renewals
        clock.advance(milliseconds=3_600_000)
        assert await client.get(b"a") == b"1"
        await client.set(b"a", b"2")
        await premises.until(lambda: server.counts.renewals > renewals + 4)
        assert await client.get(b"a") == b"2"
        assert (server.counts.sessions, server.counts.claims_won) == before
        assert server.counts.leases_lost == server.counts.sessions_lost == 0

    serving(scenario, limits=replace(Limits(), lease_ms=900))


def test_totals_of_ranges_outlive_them() -> None:
    """Commits, refusals and notices are counted over all ranges, those given up included."""

    async def scenario(premises: Premises) -> None:
        server = await premises.start()
        cached, other = premises.client(cache=True), premises.client()
        await other.set(b"a", b"1")
        while not server.node.range_totals().cache_entries:
            await cached.get(b"a")
        async with other.transaction() as tx:
            await tx.get(b"a")
            await cached.set(b"a", b"2")
            tx.set(b"a", b"3")
            with pytest.raises(Conflict):
                await tx.commit()
        while await cached.get(b"a") != b"2" or not server.node.range_totals().cache_entries:
            pass
        await other.set(b"a", b"4")
        before = server.node.range_totals()
        assert (before.commits, before.conflicts, before.invalidations) == (3, 1, 1)
        assert before.cache_leases == 1
        await server.stop()
        after = server.node.range_totals()
        assert after == before._replace(cache_leases=0, cache_entries=0)

    serving(scenario)
