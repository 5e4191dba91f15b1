"""The coordinator over a real etcd: the contract, and what etcd makes special."""

from __future__ import annotations

import asyncio

import pytest

from fastness.hosting.etcd import readings
from fastness.placement.bounds import OPERATIONS_MAX
from fastness.placement.coordinator import Put
from tests.hosting.etcd.scenes import Scene
from tests.placement.coordinator_conformance import CoordinatorSuite, Surroundings

pytestmark = pytest.mark.process


class TestEtcdCoordinator(CoordinatorSuite):
    """The contract."""

    @pytest.fixture
    def surroundings(self, scene: Scene) -> Surroundings:
        """One member."""
        return scene


def test_readings_of_many_pages_are_whole(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """More was written than one page holds, by several writes each, some of it deleted."""
    monkeypatch.setattr(readings, "PAGE", OPERATIONS_MAX + 20)

    async def scenario() -> None:
        reader, writer = scene.reached("a"), scene.reached("b")
        keys = [f"ranges/{number}" for number in range(450)]

        async def write(begin: int, end: int, value: bytes) -> None:
            for start in range(begin, end, OPERATIONS_MAX):
                part = keys[start : min(end, start + OPERATIONS_MAX)]
                await writer.write({}, [Put(key, value) for key in part])

        async def agree(count: int) -> None:
            _revision, entries = await reader.read("")
            assert entries == (await writer.read("ranges/"))[1]
            assert len(entries) == count

        await write(0, 450, b"first")
        await agree(450)
        await agree(450)
        await write(100, 400, b"second")
        await agree(450)
        await writer.write({}, [], tuple(keys[:50]))
        await write(300, 450, b"third")
        await agree(400)
        # Pages that are read while more is written.
        await asyncio.gather(write(0, 450, b"fourth"), *(reader.read("") for _ in range(5)))
        await agree(450)

    scene.run(scenario)
