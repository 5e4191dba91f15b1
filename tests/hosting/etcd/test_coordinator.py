"""The coordinator over a real etcd: the contract, and what etcd makes special."""

from __future__ import annotations

import pytest

from tests.hosting.etcd.scenes import Scene
from tests.placement.coordinator_conformance import CoordinatorSuite, Surroundings

pytestmark = pytest.mark.process


class TestEtcdCoordinator(CoordinatorSuite):
    """The contract."""

    @pytest.fixture
    def surroundings(self, scene: Scene) -> Surroundings:
        """One member."""
        return scene
