"""Node processes over real etcd and PostgreSQL: joining, leaving, dying, and who may not join."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

import fastness
from fastness import AsyncDatabase, AsyncTransaction
from fastness.limits import Limits
from tests.cli.commands import answer, failure
from tests.cluster.realm import Realm
from tests.server.processes import failing, play, until
from tests.transport.scenes import CERTIFICATES

pytestmark = pytest.mark.process

KEYS = ("a", "j", "s")
BORDERS = ("h", "p")


@dataclass
class Load:
    """Tasks that count up in all ranges at once, and know what each counter must be."""

    database: AsyncDatabase
    counts: dict[str, int] = field(default_factory=dict)
    stopping: bool = False

    async def work(self, key: str) -> None:
        """Count until told to stop."""

        async def add(tx: AsyncTransaction) -> None:
            found = await tx.get(key.encode())
            tx.set(key.encode(), b"%d" % (int(found or b"0") + 1))
            tx.set(b"z" + key.encode(), b"1")

        while not self.stopping:
            await self.database.run(add)
            self.counts[key] = self.counts.get(key, 0) + 1
            assert await self.database.get(key.encode()) == b"%d" % self.counts[key]

    async def more(self, count: int = 10) -> None:
        """Wait until so much more was committed of each key."""
        before = {key: self.counts.get(key, 0) for key in KEYS}
        await until(lambda: all(self.counts.get(key, 0) >= before[key] + count for key in KEYS))


@asynccontextmanager
async def load_on(realm: Realm) -> AsyncIterator[Load]:
    """Tasks at work, whose errors are raised here in the end."""
    async with await fastness.open_async(realm.url, limits=Limits()) as database:
        load = Load(database)
        async with asyncio.TaskGroup() as tasks:
            for key in KEYS:
                tasks.create_task(load.work(key))
            yield load
            load.stopping = True


def test_rolling_restart_without_errors(realm: Realm) -> None:
    """Each node in turn is told to stop and started again while clients work: they see nothing."""
    identity = realm.found("one", "two", borders=BORDERS)
    realm.started("n1", "n2", "n3")

    async def scenario() -> None:
        async with load_on(realm) as load:
            for name in list(realm.nodes):
                await load.more()
                code = await asyncio.to_thread(realm.nodes[name].end)
                assert code == 0
                node = realm.start(name)
                assert (await asyncio.to_thread(getattr, node, "told"))["cluster"] == identity
            await load.more()

    play(scenario())
    for node in realm.nodes.values():
        assert node.metric("fastness_node_alarms_total") == 0
        assert node.get("/readyz").status == 200


def test_a_killed_node_is_replaced(realm: Realm) -> None:
    """What it held others take over; nothing acknowledged is lost, and its name is free again."""
    realm.found("one", borders=BORDERS)
    realm.started("n1", "n2")

    async def scenario() -> None:
        async with load_on(realm) as load:
            await load.more()
            await asyncio.to_thread(realm.nodes["n1"].end, signal.SIGKILL)
            await load.more()
            assert await asyncio.to_thread(lambda: realm.start("n1").told["node"]) == "n1"
            await load.more()

    play(scenario())


def test_who_may_not_join(realm: Realm) -> None:
    """No cluster, a name in use, an unknown store, a wrong etcd: each with the next step."""
    words = ["--coordinator", realm.coordinator, "--listen", "127.0.0.1:0", "--admin", ""]
    code, told = failing(*words, "--name", "n1")
    assert code == 2
    assert "fastness cluster init" in told["message"]
    realm.found("one")
    (node,) = realm.started("n1")
    code, told = failing(*words, "--name", "n1", "--set", "limits.lease_ms=1000")
    assert code == 2
    assert f"lives at {node.seeds[0]}" in told["message"]
    code, told = failing(*words, "--name", "n2", "--store", "two=postgresql://127.0.0.1:1/x")
    assert "'two' is not registered in this cluster (one)" in told["message"]
    code, told = failing("--coordinator", "http://127.0.0.1:1/x", "--listen", "127.0.0.1:0")
    assert told["error"] == "invalid_url"


def test_strangers_are_no_nodes(realm: Realm) -> None:
    """Where there are tokens an admin's looks at the cluster, and the cluster's own secret."""
    realm.found("one")
    tokens = realm.folder.with_suffix(".tokens")
    admin = answer("token", "create", "ops", "--role", "admin", "--tokens", tokens)["token"]
    reader = answer("token", "create", "app", "--role", "read-only", "--tokens", tokens)["token"]
    node = realm.start("n1", "--tokens", str(tokens))
    url = node.told["urls"][0]
    assert failure("cluster", "status", "--url", url)["error"] == "unauthenticated"
    told = failure("cluster", "status", "--url", f"{url}?token={reader}")
    assert told["error"] == "permission_denied"
    told = answer("cluster", "status", "--url", f"{url}?token={admin}")
    assert (told["nodes"], told["nodes_serving"], told["problems"]) == (1, 1, [])
    # The coordinator's secret opens every node.
    assert realm.ask("status")["nodes_serving"] == 1


def test_nodes_speak_tls_with_each_other(realm: Realm) -> None:
    """Where they have certificates; tools and clients trust the same CA, and must."""
    realm.found("one", borders=BORDERS)
    words = ["--tls-cert", str(CERTIFICATES / "server.pem")]
    words += ["--tls-key", str(CERTIFICATES / "server.key")]
    words += ["--set", f"tls.ca={CERTIFICATES / 'authority.pem'}"]
    nodes = [realm.start(name, *words) for name in ("n1", "n2")]
    assert all(node.told["tls"] for node in nodes)
    trusting = ("--ca", CERTIFICATES / "authority.pem")
    told = realm.ask("status", *trusting)
    assert (told["nodes_serving"], told["problems"]) == (2, [])
    for range_id, name in ((1, "n1"), (2, "n2")):
        realm.ask("transfer-lease", range_id, name, *trusting)
    problems = realm.ask("status")["problems"]
    assert isinstance(problems, list)
    assert len(problems) == 2
    url = f"{realm.url}?tls=on&ca={CERTIFICATES / 'authority.pem'}"

    async def scenario() -> None:
        async with await fastness.open_async(url) as database:

            async def write(tx: AsyncTransaction) -> None:
                for key in KEYS:
                    tx.set(key.encode(), b"1")

            # Over several ranges: nodes ask each other, and one of them for timestamps.
            await database.run(write)
            assert [await database.get(key.encode()) for key in KEYS] == [b"1"] * 3

    play(scenario())
    sessions = [one for node in nodes for one in node.get("/status").document["sessions"]]
    assert any(session["role"] == "node" for session in sessions)


def test_a_store_added_at_run_time(realm: Realm) -> None:
    """Nodes open it without a restart; `--store` reaches one otherwise than it is registered."""
    realm.found("one")
    realm.started("n1")
    other = realm.start("n2", "--store", f"one={realm.dsn('one')}?application_name=n2")
    assert other.told["node"] == "n2"
    told = realm.ask("add-store", f"two={realm.dsn('two')}", "--allow-unreplicated")
    assert told["change"] == "added"

    for node in realm.nodes.values():
        while not any("store two is open" in str(line) for line in node.log):
            node.get("/healthz")
