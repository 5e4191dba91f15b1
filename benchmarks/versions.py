"""What a run is measured with: the versions of whatever takes part in it."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from benchmarks.catalogue import FAMILIES
from benchmarks.servers import MISSING
from benchmarks.servers.redis import redis_version
from fastness.laptop.etcd import etcd_version
from fastness.laptop.postgres import postgresql_version

SERVERS: dict[str, Callable[[], str]] = {
    "PostgreSQL": postgresql_version,
    "etcd": etcd_version,
    "Redis": redis_version,
}
CLIENTS = ("asyncpg", "aetcd", "redis", "hiredis", "uvloop")


def versions(names: Sequence[str]) -> dict[str, str]:
    """By name, for the benchmarks that are to run."""
    found = {"Python": platform.python_version(), "rocksdict": version("rocksdict")}
    if any(name in FAMILIES["embedded"] for name in names):
        found |= {"LMDB": version("lmdb"), "SQLite": sqlite3.sqlite_version}
    if any(name in FAMILIES["server"] for name in names):
        found |= {name: _told(tell) for name, tell in SERVERS.items()}
        found |= {name: _installed(name) for name in CLIENTS}
    if any(name in FAMILIES["cluster"] for name in names):
        found |= {name: _told(SERVERS[name]) for name in ("PostgreSQL", "etcd")}
        found |= {name: _installed(name) for name in ("asyncpg", "uvloop")}
    return found


def _told(tell: Callable[[], str]) -> str:
    try:
        return tell()
    except MISSING:
        return "missing"


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
