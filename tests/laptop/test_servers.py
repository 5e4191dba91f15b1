"""PostgreSQL and etcd, started as tests and benchmarks do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fastness.laptop.daemon import running
from fastness.laptop.etcd import etcd_members, etcd_places
from fastness.laptop.postgres import Postgres, new_postgres, standby_of

pytestmark = pytest.mark.process


def told(server: Postgres, query: str) -> str:
    """What a server answers."""
    return subprocess.run(
        [server.programs / "psql", "-X", "-A", "-t", "-c", query, server.dsn()],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_a_standby_follows_its_primary(tmp_path: Path) -> None:
    """What the primary acknowledges synchronously is on the standby, also after a crash."""
    primary = new_postgres(tmp_path / "primary", {"wal_level": "replica"})
    with running(primary.daemon):
        standby = standby_of(primary, tmp_path / "standby")
        with running(standby.daemon):
            told(primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            primary.daemon.kill()
            primary.daemon.start()
            primary.daemon.await_ready()
            told(primary, "SET synchronous_commit = remote_apply; CREATE TABLE kept ()")
            assert told(standby, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == "1"
            assert told(primary, "SHOW fsync") == "on"


def test_members_elect_a_leader_and_another_after_its_death(tmp_path: Path) -> None:
    """Two of three are enough."""
    members = etcd_members(etcd_places(tmp_path, 3))
    try:
        for member in members:
            member.daemon.start()
        for member in members:
            member.daemon.await_ready()
        leader = next(member for member in members if member.is_leader())
        leader.daemon.kill()
        assert leader.status() is None
        others = [member for member in members if member is not leader]
        while not any(member.is_leader() for member in others):
            assert all(member.daemon.is_running() for member in others)
    finally:
        for member in members:
            member.daemon.stop()
