"""A real cluster of etcd and PostgreSQL under Patroni: it comes up, bears blows, and goes down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fastness.errors import FastnessError, InvalidOption
from fastness.laptop import processes
from fastness.laptop.cluster import LaptopCluster
from fastness.laptop.folder import Folder
from fastness.laptop.programs import importable
from fastness.laptop.survey import survey

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

WAIT_S = 120.0
UP = """
import sys
from pathlib import Path
from fastness.laptop.cluster import LaptopCluster
LaptopCluster.up(Path(sys.argv[1]), nodes=0, stores=1, saying=lambda text: print(text, flush=True))
"""


def awaited(work: Callable[[], str], unlike: str) -> str:
    """An answer other than that one, once there is one."""
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        try:
            if (found := work()) != unlike:
                return found
        except FastnessError:
            pass
    raise TimeoutError(f"no answer but {unlike} in {WAIT_S} s")


def told(cluster: LaptopCluster, query: str) -> str:
    """What the primary of the first store answers."""
    return cluster.stores["store-1"].ask(query)


def test_a_cluster_lives_through_blows_and_goes_on_later(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Patroni promotes, etcd elects, nothing acknowledged is lost, and no process is left."""
    with LaptopCluster.up(tmp_path, nodes=0, stores=1) as cluster:
        assert told(cluster, "SHOW synchronous_commit") == "on"
        assert told(cluster, "SHOW synchronous_standby_names") != ""
        told(cluster, "CREATE TABLE kept (what text)")
        told(cluster, "INSERT INTO kept VALUES ('before')")
        primary = cluster.primary_of("store-1")
        cluster.kill_postgres(primary)
        killed = time.monotonic()
        promoted = awaited(lambda: cluster.primary_of("store-1"), primary)
        record_property("promotion_s", round(time.monotonic() - killed, 2))
        assert told(cluster, "SELECT what FROM kept") == "before"
        leader = cluster.etcd_leader()
        cluster.kill(leader)
        awaited(cluster.etcd_leader, leader)
        assert leader not in cluster.tend()
        states = {one.name: one.state for one in survey(cluster)}
        assert states[leader] == "down"
        cluster.resume(leader)
        cluster.await_whole()
        assert cluster.standbys_of("store-1") == [primary] != [promoted]
        told(cluster, "INSERT INTO kept VALUES ('after')")
        seen = LaptopCluster.seen(tmp_path)
        assert seen is not None
        assert {one.state for one in survey(seen)} == {"ready"}
        assert [one.pid for one in seen.daemons.values()] == [
            one.pid for one in cluster.daemons.values()
        ]
        os.kill(cluster.etcd[0].daemon.pid, signal.SIGKILL)
        while cluster.etcd[0].daemon.is_running():
            pass
        assert cluster.tend() == ["etcd-1"]
    assert processes.marked(cluster.plan.id, tmp_path) == set()
    with LaptopCluster.up(tmp_path, standbys=2) as again:
        assert again.plan.id == cluster.plan.id
        assert len(again.standbys_of("store-1")) == 2
        assert told(again, "SELECT count(*) FROM kept") == "2"
        with pytest.raises(InvalidOption, match="'etcd-9' is no member: there are etcd-1"):
            again.kill("etcd-9")
        with pytest.raises(InvalidOption, match="'store-9' is no store: there are store-1"):
            again.primary_of("store-9")
    assert processes.marked(cluster.plan.id, tmp_path) == set()


def test_an_interrupted_start_is_made_good_by_the_next(tmp_path: Path) -> None:
    """The supervisor is killed while PostgreSQL is being made: nothing of it lives on."""
    command = [sys.executable, "-c", UP, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, **importable()}
    ) as supervisor:
        assert supervisor.stdout is not None
        while b"PostgreSQL" not in supervisor.stdout.readline():
            assert supervisor.poll() is None
        data = [tmp_path / name / "data" / "base" for name in ("store-1-a", "store-1-b")]
        while not any(one.exists() for one in data):
            assert supervisor.poll() is None
        supervisor.kill()
    plan = Folder(tmp_path).planned()
    assert plan is not None
    give_up = time.monotonic() + WAIT_S
    while processes.marked(plan.id, tmp_path):
        assert time.monotonic() < give_up
    assert Folder(tmp_path).supervisor() == 0
    with LaptopCluster.up(tmp_path) as cluster:
        assert cluster.is_whole()
        assert told(cluster, "SELECT 1") == "1"
