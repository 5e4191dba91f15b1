"""One etcd member for all tests of this folder that need no other; each takes its own prefix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosting.etcd.scenes import Scene
from tests.servers.etcd import EtcdCluster, etcd_cluster


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """A cluster of one member."""
    with etcd_cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
def scene(etcd: EtcdCluster, request: pytest.FixtureRequest) -> Scene:
    """Processes that reach it, under a prefix of the test's own."""
    return Scene(etcd.url(request.node.name.replace("[", "-").replace("]", "")))


@pytest.fixture
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """A cluster of three members, of a test's own: it may do with them what it likes."""
    with etcd_cluster(tmp_path_factory.mktemp("three"), 3) as cluster:
        yield cluster
