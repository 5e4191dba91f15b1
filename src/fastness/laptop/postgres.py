"""PostgreSQL without anybody who fails it over: one server, or a standby that follows one.

`fsync` and `synchronous_commit` are on, as PostgreSQL has them. Whoever connects from this
machine is trusted. For tests and benchmarks; a cluster's stores are in `patroni.py`.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fastness.errors import Unreachable
from fastness.laptop.daemon import Daemon
from fastness.laptop.ports import HOST, free_port
from fastness.laptop.programs import as_somebody, postgresql_programs, version_of

USER = "fastness"
MAKE_S = 120.0
"""How long `initdb` or a copy of a primary may take."""


@dataclass(slots=True)
class Postgres:
    """One server: where it is, and its process."""

    folder: Path
    port: int
    programs: Path
    daemon: Daemon = field(repr=False)

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    def dsn(self, database: str = "postgres") -> str:
        """How a client reaches a database of it."""
        return f"postgresql://{USER}@{HOST}:{self.port}/{database}"


def postgresql_version() -> str:
    """The version that would be started."""
    return version_of(postgresql_programs() / "postgres")


def new_postgres(
    folder: Path, settings: Mapping[str, str] | None = None, *, programs: Path | None = None
) -> Postgres:
    """A fresh server on a free port, not started yet."""
    found = programs or postgresql_programs()
    folder.mkdir(parents=True, exist_ok=True)
    options: list[str | Path] = [
        "--username",
        USER,
        "--auth",
        "trust",
        "--encoding",
        "UTF8",
        "--no-locale",
    ]
    _make([found / "initdb", "-D", folder / "data", *options, "--no-sync"])
    return _server(folder, found, settings or {})


def standby_of(
    primary: Postgres, folder: Path, settings: Mapping[str, str] | None = None
) -> Postgres:
    """A copy of a running primary that will follow it under the name of `folder`; not started."""
    folder.mkdir(parents=True, exist_ok=True)
    source = f"host={HOST} port={primary.port} user={USER} application_name={folder.name}"
    copy: list[str | Path] = [
        "-d",
        source,
        "-D",
        folder / "data",
        "--write-recovery-conf",
        "--no-sync",
    ]
    _make([primary.programs / "pg_basebackup", *copy, "--checkpoint=fast"])
    return _server(folder, primary.programs, settings or {})


def _server(folder: Path, programs: Path, settings: Mapping[str, str]) -> Postgres:
    port = free_port()
    ours = {"listen_addresses": HOST, "unix_socket_directories": "", "port": str(port)}
    words = [word for name, value in (ours | dict(settings)).items() for word in _set(name, value)]
    ready: list[str | Path] = [programs / "pg_isready", "-q", "-h", HOST, "-p", str(port)]
    daemon = Daemon(
        folder.name,
        [*as_somebody(), programs / "postgres", "-D", folder / "data", *words],
        folder,
        is_ready=lambda: subprocess.run(ready, check=False).returncode == 0,  # noqa: S603 - found above
        # Ends open connections; SIGTERM would wait for them.
        stop_signal=signal.SIGINT,
    )
    return Postgres(folder, port, programs, daemon)


def _set(name: str, value: str) -> tuple[str, str]:
    return "-c", f"{name}={value}"


def _make(command: list[str | Path]) -> None:
    done = subprocess.run(  # noqa: S603 - found above
        [*as_somebody(), *command], check=False, capture_output=True, text=True, timeout=MAKE_S
    )
    if done.returncode != 0:
        name = Path(command[0]).name
        raise Unreachable(f"{name} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
