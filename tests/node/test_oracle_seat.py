"""The oracle on real nodes: its succession, its ceiling, and holders that slept."""

from __future__ import annotations

import pytest

from fastness.node.oracle_seat import TERMS, ceiling_of_term
from fastness.placement.cluster_view import decode_oracle
from fastness.placement.coordinator import CEILING, ORACLE
from fastness.testing.simulation import Rates, World
from fastness.testing.simulation.coordinator import COORDINATOR
from fastness.wire.messages import Draw, Drawn
from tests.node.clusters import LIMITS, Cluster, refused


def ceiling_of(world: World) -> int:
    """The durable ceiling."""
    return int.from_bytes(world.coordinator.snapshot().get(CEILING, b""), "big")


@pytest.mark.parametrize("seed", range(4))
def test_timestamps_rise_through_every_succession(seed: int) -> None:
    """Crashes, lost answers and clocks that disagree: no timestamp is issued twice, or sinks."""
    with World(seed=f"succession {seed}", wall_off_ms=60_000) as world:
        cluster = Cluster(world, nodes=3)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            world.network.set_call_rates(COORDINATOR, Rates(drop=0.1, delay=0.1))
            last = ceiling = 0
            for _crash in range(4):
                for _ in range(20):
                    first = await client.draw(10)
                    assert first > last
                    last = first + 9
                    assert ceiling_of(world) >= ceiling
                    ceiling = ceiling_of(world)
                    assert last < ceiling
                oracle = (await client.map()).oracle
                world.restart(cluster.name_of(oracle))

        world.run(scenario())


def test_a_ceiling_tells_whose_it_is() -> None:
    """Two terms that want the same ceiling write different ones, neither below it."""
    for wanted in (1, TERMS - 1, 5 * TERMS, 5 * TERMS + 7):
        first, second = (ceiling_of_term(wanted, epoch) for epoch in (7, 8))
        assert first != second
        assert wanted <= min(first, second)
        assert max(first, second) < wanted + TERMS
    with World(seed=5) as world:
        cluster = Cluster(world, nodes=2)

        async def scenario() -> None:
            await cluster.start()
            for _term in range(2):
                await cluster.client.draw()
                epoch = decode_oracle(world.coordinator.snapshot()[ORACLE]).epoch
                assert ceiling_of(world) % TERMS == epoch
                world.restart(cluster.name_of((await cluster.client.map()).oracle))

        world.run(scenario())


def test_an_oracle_that_slept_issues_nothing() -> None:
    """A request that arrives after its lease ended is refused, though it has not noticed yet."""
    with World(seed=3) as world:
        cluster = Cluster(world, nodes=2)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.draw()
            slept = (await client.map()).oracle
            process = world.process(slept)
            process.pause(3 * LIMITS.lease_ms)
            asked = client.process.spawn(
                client.ask(slept, Draw(1), patience_ms=4 * LIMITS.lease_ms), name="asked"
            )
            later = await client.draw()
            assert (await client.map()).oracle != slept
            assert refused(await asked) == "range_moved"
            assert await client.draw() > later

        world.run(scenario())


def test_those_that_wait_for_the_ceiling_are_answered() -> None:
    """While the coordinator stalls requests queue up to a limit; then all are served."""
    with World(seed=4) as world:
        cluster = Cluster(world, nodes=1)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.draw()
            oracle = (await client.map()).oracle
            blocks = set()
            world.coordinator.pause(LIMITS.lease_ms / 3)
            for _ in range(40):
                answer = await client.ask(oracle, Draw(1 << 16), patience_ms=2_000)
                assert isinstance(answer, Drawn)
                blocks.add(answer.first)
            assert len(blocks) == 40

        world.run(scenario())


def test_a_drained_oracle_is_followed_at_once() -> None:
    """A release spares the successor the wait, and its timestamps are above the ceiling."""
    with World(seed=5) as world:
        cluster = Cluster(world, nodes=2)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.draw()
            oracle = (await client.map()).oracle
            ceiling = ceiling_of(world)
            began = world.now_ms
            await cluster.node(oracle).drain()
            assert await client.draw() > ceiling
            assert world.now_ms - began < LIMITS.lease_ms

        world.run(scenario())
