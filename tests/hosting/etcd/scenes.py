"""Processes on the real loop that reach one etcd cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from fastness.errors import Unreachable
from fastness.hosting.etcd import EtcdCoordinator
from fastness.limits import Limits
from fastness.node.waiting import pause
from fastness.runtime.local import LocalNetwork, LocalProcess
from tests.placement.coordinator_conformance import Surroundings

T = TypeVar("T")

PATIENCE_SECONDS = 60.0


class Scene(Surroundings):
    """Runs a scenario on a loop of its own; whatever it reached is closed in the end."""

    def __init__(
        self, url: str, names: Sequence[str] = ("a", "b", "c", "d"), limits: Limits | None = None
    ) -> None:
        self.url = url
        self.names = names
        self.limits = limits or Limits()
        self.notes: list[str] = []
        self._reached: dict[str, EtcdCoordinator] = {}

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it with a coordinator for each name."""

        async def main() -> None:
            network = LocalNetwork(note=lambda _address, event: self.notes.append(event))
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    for name in self.names:
                        self._process = network.process(name)
                        self._reached[name] = await self.open(self._process)
                    await scenario()
            finally:
                for coordinator in self._reached.values():
                    await coordinator.close()
                await network.close()

        asyncio.run(main())

    async def open(self, process: LocalProcess, options: str = "") -> EtcdCoordinator:
        """One more coordinator; the scenario closes it."""
        return await EtcdCoordinator.open(process, self.url + options, limits=self.limits)

    @property
    def process(self) -> LocalProcess:
        """The process of the last name."""
        return self._process

    def reached(self, name: str) -> EtcdCoordinator:
        """Over connections of its own."""
        return self._reached[name]

    async def surely(self, call: Callable[[], Awaitable[T]]) -> T:
        """What it answers once somebody does."""
        while True:
            try:
                return await call()
            except Unreachable:
                await self.wait(50)

    async def wait(self, milliseconds: float) -> None:
        """By the process's timers."""
        await pause(self._process, milliseconds)
