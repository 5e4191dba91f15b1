"""A store: PostgreSQL as primary and synchronous standby, each run by a Patroni beside it.

Patroni asks etcd who is the primary, copies the standby, and promotes it when the primary dies.
An acknowledged commit is on both, or with more standbys on any of them: `synchronous_mode` is
`quorum`, and only one that has every such commit is promoted. `synchronous_mode_strict` has the
primary wait for a standby where there is none: after a failover until the dead primary is back,
unless there is a second standby. While there is, the loss of one stops nothing.
`primary_start_timeout` 0: a primary that crashed is not started again first, a standby takes over.
The times are the shortest that Patroni takes: a promotion follows a kill of PostgreSQL in about
three seconds, and one of Patroni with it once its lock in etcd has run out (`ttl`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fastness.errors import Unreachable
from fastness.laptop import web
from fastness.laptop.daemon import Daemon
from fastness.laptop.ports import HOST
from fastness.laptop.programs import as_somebody, patroni_command
from fastness.laptop.secret_files import write_secret

SUPERUSER, REPLICATOR, REWINDER, USER = "postgres", "replicator", "rewinder", "fastness"
DATABASE = "fastness"
STOP_S = 40.0
"""How long an orderly stop may take: a primary waits for its standby to have everything."""
NAMESPACE = "/patroni/"
"""Below which Patroni keeps its keys in etcd."""
SQL_S = 60.0
TIMES = {"ttl": 20, "loop_wait": 1, "retry_timeout": 3}
"""Seconds, see Patroni's page of settings."""
PARAMETERS = {
    "max_connections": 100,
    "shared_buffers": "32MB",
    "wal_level": "replica",
    "wal_log_hints": "on",
    "max_wal_senders": 10,
    "max_replication_slots": 10,
    "wal_keep_size": "256MB",
    # The folder may be too deep for the path of a socket.
    "unix_socket_directories": "",
}
CREATE = """
SET synchronous_commit = remote_apply;
SELECT 'CREATE ROLE {user} LOGIN' WHERE NOT EXISTS
    (SELECT FROM pg_roles WHERE rolname = '{user}') \\gexec
ALTER ROLE {user} PASSWORD '{password}';
GRANT pg_monitor TO {user};
SELECT 'CREATE DATABASE {database} OWNER {user}' WHERE NOT EXISTS
    (SELECT FROM pg_database WHERE datname = '{database}') \\gexec
"""
"""Applied by the standby too: a client that tries its address first must not be told that there is
no such role or database, which ends the search. A member of `pg_monitor` sees who follows."""


class Passwords(msgspec.Struct, frozen=True, kw_only=True):
    """Those of a store's roles; letters and digits only."""

    superuser: str
    replicator: str
    rewinder: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a PostgreSQL and its Patroni are."""

    name: str
    folder: Path
    port: int
    """PostgreSQL's."""
    rest_port: int
    """Patroni's."""
    host: str = HOST
    prefix: tuple[str, ...] = ()


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A member of a store, as Patroni sees it."""

    name: str
    role: str
    """`leader`, `quorum_standby`, `replica`."""
    state: str = "unknown"
    """`running` (a primary), `streaming`, `starting`, `stopped`, ..."""


class _Own(msgspec.Struct, frozen=True):
    """What a Patroni tells of its own PostgreSQL."""

    role: str = ""
    state: str = ""


class _Cluster(msgspec.Struct, frozen=True):
    members: list[Role] = []


@dataclass(slots=True)
class StoreMember:
    """One PostgreSQL under its Patroni."""

    place: Place
    daemon: Daemon = field(repr=False)

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.place.folder / "data"

    def roles(self) -> list[Role] | None:
        """What its Patroni knows of the store; `None` where it does not answer."""
        answer = web.ask(self.place.rest_port, "/cluster", host=self.place.host)
        if answer is None or answer.status != 200:
            return None
        return msgspec.json.decode(answer.body, type=_Cluster).members

    def is_primary(self) -> bool:
        """Whether it is the primary, with a PostgreSQL that runs and takes writes."""
        answer = web.ask(self.place.rest_port, "/primary", host=self.place.host)
        if answer is None or answer.status != 200:
            return False
        # The answer is 200 as soon as it holds the lock, while PostgreSQL may still recover.
        told = msgspec.json.decode(answer.body, type=_Own)
        return (told.role, told.state) == ("primary", "running")

    def postgres_pid(self) -> int:
        """The postmaster's process id, 0 where there is none."""
        try:
            return int((self.data / "postmaster.pid").read_text("utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            return 0


@dataclass(slots=True)
class Store:
    """A PostgreSQL cluster: its members, of which one is the primary."""

    name: str
    members: list[StoreMember]
    passwords: Passwords = field(repr=False)
    programs: Path

    @property
    def dsn(self) -> str:
        """How a client reaches the primary, whichever it is; it holds a password."""
        hosts = ",".join(f"{one.place.host}:{one.place.port}" for one in self.members)
        return (
            f"postgresql://{USER}:{self.passwords.user}@{hosts}/{DATABASE}"
            "?target_session_attrs=read-write"
        )

    def primary(self) -> StoreMember | None:
        """The primary, `None` while there is none."""
        return next((one for one in self.members if one.is_primary()), None)

    def roles(self) -> list[Role]:
        """Its members, as the first Patroni that answers knows them; none: nobody answers."""
        return next((told for one in self.members if (told := one.roles())), [])

    def is_whole(self) -> bool:
        """Whether it has a primary, and every other member follows it, synchronously one."""
        seen = [(one.role, one.state) for one in self.roles()]
        following = [state == "streaming" for role, state in seen if role != "leader"]
        return (
            len(seen) == len(self.members)
            and all(following)
            and ("leader", "running") in seen
            and ("quorum_standby", "streaming") in seen
            and self.primary() is not None
        )

    def create_database(self) -> None:
        """Role and database for our nodes; done once or again."""
        script = CREATE.format(user=USER, password=self.passwords.user, database=DATABASE)
        self.ask(script, database="postgres")

    def ask(self, script: str, *, database: str = DATABASE) -> str:
        """What the primary answers to SQL of a superuser, as `psql` prints it without frills."""
        primary = self.primary()
        if primary is None:
            raise Unreachable(f"{self.name} has no primary now: Patroni may be promoting one")
        place = primary.place
        where = f"host={place.host} port={place.port} user={SUPERUSER} dbname={database}"
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own client
            [self.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", where],
            input=script,
            env={"PGPASSWORD": self.passwords.superuser, "PATH": str(self.programs)},
            check=False,
            capture_output=True,
            text=True,
            timeout=SQL_S,
        )
        if done.returncode != 0:
            raise Unreachable(f"{self.name} refused: {done.stderr.strip()}")
        return done.stdout.strip()


def new_store(
    name: str,
    places: Sequence[Place],
    *,
    etcd: Sequence[str],
    passwords: Passwords,
    programs: Path,
    mark: str = "",
) -> Store:
    """A store whose members are not started; `etcd` are the members' HOST:PORT for clients."""
    members = [
        _member(name, place, etcd=etcd, passwords=passwords, programs=programs, mark=mark)
        for place in places
    ]
    return Store(name, members, passwords, programs)


def _member(
    store: str,
    place: Place,
    *,
    etcd: Sequence[str],
    passwords: Passwords,
    programs: Path,
    mark: str,
) -> StoreMember:
    place.folder.mkdir(parents=True, exist_ok=True)
    file = place.folder / "patroni.yml"
    # What is JSON is YAML too.
    write_secret(file, json.dumps(_settings(store, place, etcd, passwords, programs), indent=2))
    daemon = Daemon(
        place.name,
        [*place.prefix, *as_somebody(), *patroni_command(), file.name],
        place.folder,
        is_ready=lambda: _is_up(place),
        mark=mark,
        adopts=True,
    )
    return StoreMember(place, daemon)


def _is_up(place: Place) -> bool:
    """Whether its PostgreSQL runs, as primary or standby."""
    answer = web.ask(place.rest_port, "/health", host=place.host)
    return answer is not None and answer.status == 200


def _settings(
    store: str, place: Place, etcd: Sequence[str], passwords: Passwords, programs: Path
) -> Mapping[str, Any]:
    return {
        "scope": store,
        "namespace": NAMESPACE,
        "name": place.name,
        "log": {"deduplicate_heartbeat_logs": True},
        "restapi": _listening(place.host, place.rest_port),
        "etcd3": {"hosts": list(etcd)},
        "watchdog": {"mode": "off"},
        "bootstrap": {
            "dcs": {
                **TIMES,
                "primary_start_timeout": 0,
                "synchronous_mode": "quorum",
                "synchronous_mode_strict": True,
                # Without etcd a primary goes on as long as every other member still obeys it:
                # else each election there would stop all stores for seconds.
                "failsafe_mode": True,
                "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
        },
        "postgresql": {
            **_listening(place.host, place.port),
            "data_dir": str(place.folder / "data"),
            "bin_dir": str(programs),
            # A copy begins at once, not with the primary's next checkpoint.
            "basebackup": [{"checkpoint": "fast"}],
            "pgpass": str(place.folder / "pgpass"),
            "pg_hba": [
                "host replication all all scram-sha-256",
                "host all all all scram-sha-256",
            ],
            "authentication": {
                "superuser": {"username": SUPERUSER, "password": passwords.superuser},
                "replication": {"username": REPLICATOR, "password": passwords.replicator},
                "rewind": {"username": REWINDER, "password": passwords.rewinder},
            },
        },
    }


def _listening(host: str, port: int) -> dict[str, str]:
    return {"listen": f"{host}:{port}", "connect_address": f"{host}:{port}"}
