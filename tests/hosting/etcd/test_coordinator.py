"""The coordinator over a real etcd: the contract, and what etcd makes special."""

from __future__ import annotations

import pytest

from fastness.errors import LimitExceeded
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


def test_the_largest_write_is_taken_and_a_larger_one_refused(scene: Scene) -> None:
    """As many keys as any coordinator takes, ranges among them."""

    async def scenario() -> None:
        coordinator = scene.reached("a")
        puts = [Put(f"ranges/{number}", b"x") for number in range(OPERATIONS_MAX)]
        absent = {put.key: 0 for put in puts}
        revision = await coordinator.write(absent, puts)
        assert revision is not None
        with pytest.raises(LimitExceeded, match="101 keys, at most 100"):
            await coordinator.write({}, [*puts, Put("one more", b"")])
        with pytest.raises(LimitExceeded, match="101 keys, at most 100"):
            await coordinator.write({**absent, "one more": 0}, [])

    scene.run(scenario)
