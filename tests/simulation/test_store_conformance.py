"""A simulated store keeps the contract of a store far away."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from fastness.testing.simulation import World
from tests.hosting.remote_conformance import Reached, RemoteStoreSuite


class InWorld(Reached):
    """In a world where nothing goes wrong."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.store = world.store_for(world.process("holder"), "store")

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it in the world."""
        self._world.run(scenario())


class TestSimulatedStore(RemoteStoreSuite):
    """The contract, late."""

    @pytest.fixture
    def reached(self) -> Iterator[Reached]:
        """A store of a world of its own."""
        with World(8) as world:
            yield InWorld(world)
