"""Where a scenario of a client is played: a simulated cluster, or one real server.

What a client may expect is the same of both. Suites that ask for nothing but a client, and ranges
that are split, run on either; those that crash nodes or lose messages stay in the world.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fastness.client.cluster import ClusterClient
from fastness.limits import Limits
from fastness.ranges.requests import Done
from fastness.wire.messages import SplitRange
from tests.client.cluster.clusters import BORDERS, Scene, play
from tests.node.servers import Premises, serving


class Stage(Protocol):
    """What such a scenario is given."""

    def client(self, limits: Limits = ..., **options: Any) -> ClusterClient:  # noqa: ANN401 - handed through
        """A client in a process of its own."""
        ...

    async def split(self, key: bytes) -> None:
        """Split the range of a key at it."""
        ...


Scenario = Callable[[Stage], Awaitable[None]]


class Play(Protocol):
    """Plays a scenario to its end, with ranges that begin at these borders."""

    def __call__(self, scenario: Scenario, *, borders: tuple[bytes, ...] = BORDERS) -> None:
        """Raises what the scenario raises."""
        ...


class Served:
    """One real server, in a local network, over memory."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    def client(self, limits: Limits | None = None, **options: Any) -> ClusterClient:  # noqa: ANN401 - handed through
        """A client in a process of its own."""
        return self._premises.client(limits, **options)

    async def split(self, key: bytes) -> None:
        """Split the range of a key at it."""
        core = self._premises.client().core
        while True:
            await core.routes.refreshed()
            place = core.routes.serving(key)
            assert place is not None
            if place.begin == key:
                return
            request = SplitRange(place.range_id, place.generation, key)
            assert isinstance(await core.calls.ask(place.holder, request), Done)


def in_a_world(scenario: Scenario, *, borders: tuple[bytes, ...] = BORDERS) -> None:
    """Against three simulated nodes."""

    async def on_scene(scene: Scene) -> None:
        await scenario(scene)

    play(on_scene, borders=borders)


def on_a_server(scenario: Scenario, *, borders: tuple[bytes, ...] = BORDERS) -> None:
    """Against one server of this machine, on the real loop."""

    async def with_premises(premises: Premises) -> None:
        await premises.start()
        stage = Served(premises)
        for border in borders:
            await stage.split(border)
        await scenario(stage)

    serving(with_premises)
