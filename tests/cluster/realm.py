"""A real cluster for tests: etcd, PostgreSQL and node processes, in one folder.

One member of etcd and one server of PostgreSQL, a database for each store: what these do when they
die is tested where they are; here it is about nodes, and the commands of whoever runs them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fastness.laptop.postgres import Postgres
from fastness.testing.kit.serving import command, environment
from tests.cli.commands import answer
from tests.server.processes import PATIENCE_SECONDS, ServerProcess
from tests.servers.etcd import EtcdCluster, etcd_cluster
from tests.servers.postgres import new_database, postgres_server

LEASE_MS = 2_000


class Realm:
    """Nodes by name, over stores by name. Everything that runs is stopped in the end."""

    def __init__(self, folder: Path, etcd: EtcdCluster, postgres: Postgres, prefix: str) -> None:
        self.folder = folder
        self.coordinator = etcd.url(prefix)
        self.dsns: dict[str, str] = {}
        self.nodes: dict[str, ServerProcess] = {}
        self._postgres = postgres
        self._stack = ExitStack()

    def dsn(self, name: str) -> str:
        """The DSN of a store's database, a fresh one at first."""
        if name not in self.dsns:
            self.dsns[name] = new_database(self._postgres)
        return self.dsns[name]

    def words(self, *stores: str) -> list[str]:
        """How `cluster init` is told of these stores."""
        words = ["--coordinator", self.coordinator]
        for name in stores:
            words += ["--store", f"{name}={self.dsn(name)}", "--allow-unreplicated", name]
        return words

    def found(self, *stores: str, borders: tuple[str, ...] = ()) -> str:
        """Make the cluster; its id."""
        words = self.words(*stores)
        for border in borders:
            words += ["--border", border]
        told = answer("cluster", "init", *words)
        assert told["created"]
        identity: str = told["cluster"]
        return identity

    def start(self, name: str, *words: str) -> ServerProcess:
        """Start a node, without waiting for it."""
        self.folder.mkdir(exist_ok=True)
        log = self.folder / f"{name}.log"
        line = command(
            *("serve", "--coordinator", self.coordinator, "--name", name, "--json"),
            *("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
            *("--set", f"limits.lease_ms={LEASE_MS}", "--set", "log.level=debug"),
            *words,
        )
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                line, stdout=subprocess.PIPE, stderr=stderr, env=environment()
            )
        self._stack.enter_context(process)
        self._stack.callback(_killed, process)
        self.nodes[name] = ServerProcess(process, log)
        return self.nodes[name]

    def started(self, *names: str) -> list[ServerProcess]:
        """Start nodes, and wait until all of them are ready."""
        nodes = [self.start(name) for name in names]
        for node in nodes:
            assert node.told["cluster"]
        return nodes

    @property
    def url(self) -> str:
        """Every node, for clients."""
        places = [node.seeds[0] for node in self.nodes.values() if node.process.poll() is None]
        return f"fastness://{','.join(places)}"

    def ask(self, *words: object) -> dict[str, object]:
        """What a command of `fastness cluster` answers here."""
        told: dict[str, object] = answer("cluster", *words, "--coordinator", self.coordinator)
        return told

    def close(self) -> None:
        """End every node that still runs."""
        self._stack.close()


def _killed(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(PATIENCE_SECONDS)


@contextmanager
def realms(folder: Path) -> Iterator[Callable[[], Realm]]:
    """Makes realms of their own prefixes and databases, over the same servers."""
    made: list[Realm] = []
    with etcd_cluster(folder / "etcd") as etcd, postgres_server(folder / "postgres") as postgres:

        def make() -> Realm:
            number = len(made) + 1
            made.append(Realm(folder / f"realm-{number}", etcd, postgres, f"realm-{number}"))
            return made[-1]

        try:
            yield make
        finally:
            for realm in made:
                realm.close()
