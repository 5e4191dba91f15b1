"""`fastness cluster`: what is looked at and changed in a running cluster, by which way in."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cli.commands import answer, failure, run
from tests.cluster.realm import Realm

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def realm(new_realm: Callable[[], Realm]) -> Iterator[Realm]:
    """Two nodes over two stores, for all tests of this module."""
    made = new_realm()
    made.found("one", "two", borders=("h", "p"))
    made.started("n1", "n2")
    yield made
    made.close()


def ranges(realm: Realm) -> list[dict[str, Any]]:
    """All of them, in the order of keys."""
    found: list[dict[str, Any]] = realm.ask("ranges")["ranges"]  # type: ignore[assignment]  # JSON
    return found


def holding(realm: Realm, key: str) -> dict[str, Any]:
    """The range of a key."""
    return next(one for one in reversed(ranges(realm)) if one["begin"] <= key)


def test_what_there_is(realm: Realm) -> None:
    """Nodes, ranges and stores, as tables and as JSON."""
    told = realm.ask("status")
    while told["ranges"] != told["ranges_served"]:
        told = realm.ask("status")
    assert (told["nodes"], told["nodes_serving"], told["stores"], told["ranges"]) == (2, 2, 2, 3)
    assert told["oracle"] in {"n1", "n2"}
    nodes: Any = realm.ask("nodes")["nodes"]
    assert sorted(node["name"] for node in nodes) == ["n1", "n2"]
    assert sum(node["oracle"] for node in nodes) == 1
    stores: Any = realm.ask("stores")["stores"]
    assert [store["store"] for store in stores] == ["one", "two"]
    assert {store["url"] for store in stores} == {realm.dsn("one"), realm.dsn("two")}
    for command in ("status", "nodes", "ranges", "stores"):
        shown = run("cluster", command, "--coordinator", realm.coordinator)
        assert shown.exit_code == 0
        assert ("n1" if command == "nodes" else "two") in shown.stdout


def test_by_a_node(realm: Realm) -> None:
    """A node's URL does as well, but for what only the coordinator knows."""
    told = answer("cluster", "status", "--url", realm.url)
    assert (told["cluster"], told["nodes_serving"]) == (None, 2)
    stores = answer("cluster", "stores", "--url", realm.url)["stores"]
    assert [(store["store"], store["url"]) for store in stores] == [("one", None), ("two", None)]


def test_ranges_are_split_and_merged(realm: Realm) -> None:
    """Split where asked; merged with the neighbour, which comes to the same node first."""
    realm.ask("split", "c")
    left, right = holding(realm, "a"), holding(realm, "c")
    assert (left["end"], right["begin"]) == ("c", "c")
    other = "n2" if left["node"] == "n1" else "n1"
    realm.ask("transfer-lease", right["range"], other)
    assert holding(realm, "c")["node"] == other
    assert failure("cluster", "split", "c", "--coordinator", realm.coordinator)["exit"] == 2
    realm.ask("merge", left["range"])
    assert holding(realm, "c")["range"] == left["range"]


def test_what_cannot_be_changed(realm: Realm) -> None:
    """Unknown ranges and nodes, neighbours in another store, keys that are none."""
    wrong = [
        (("transfer-lease", 99, "n1"), "no range fits range 99"),
        (("transfer-lease", 1, "n9"), "'n9' names 0 of the nodes that live: choose from n1, n2"),
        (("merge", 99), "there is no range 99"),
        (("merge", ranges(realm)[-1]["range"]), "nothing is right of it"),
        (("merge", holding(realm, "a")["range"]), "store"),
        (("drain", "n9"), "names 0 of the nodes"),
    ]
    for words, message in wrong:
        told = failure("cluster", *words, "--coordinator", realm.coordinator)
        assert message in told["message"]
        assert told["exit"] == 2


def test_which_cluster(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    """By option or environment; none, or a URL of something else, is told what to write."""
    monkeypatch.delenv("FASTNESS_URL", raising=False)
    assert "which cluster?" in failure("cluster", "status")["message"]
    assert failure("cluster", "status", "--url", "file:x")["error"] == "invalid_url"
    told = failure("cluster", "nodes", "--coordinator", realm.coordinator + "&user=x")
    assert told["error"] == "invalid_url"
    monkeypatch.setenv("FASTNESS_COORDINATOR", realm.coordinator)
    assert answer("cluster", "status")["nodes"] == 2


def test_a_repeat_of_init(realm: Realm) -> None:
    """It finds what is there; another cluster's stores or prefix are refused."""
    told = answer("cluster", "init", *realm.words("one", "two"))
    assert not told["created"]
    other = failure("cluster", "init", *realm.words("three"))
    assert "is at this prefix already, with the stores one, two" in other["message"]
    elsewhere = realm.coordinator.replace("/realm-", "/other-")
    told = failure(
        *("cluster", "init", "--coordinator", elsewhere, "--store", f"one={realm.dsn('one')}"),
        *("--allow-unreplicated", "one"),
    )
    assert told["error"] == "foreign_store"
    assert told["exit"] == 4


def test_a_store_is_removed(realm: Realm) -> None:
    """Once no range lies in it, and not before; nodes let go of it."""
    words = ("--coordinator", realm.coordinator)
    told = failure("cluster", "remove-store", "two", *words)
    assert "ranges lie in store 'two'" in told["message"]
    assert (
        "no store is called 'nine'" in failure("cluster", "remove-store", "nine", *words)["message"]
    )
    realm.ask("add-store", f"empty={realm.dsn('empty')}", "--allow-unreplicated")
    node = realm.nodes["n1"]
    while not any("store empty is open" in str(line) for line in node.log):
        node.get("/healthz")
    assert realm.ask("remove-store", "empty")["store"] == "empty"
    while not any("store empty is not registered" in str(line) for line in node.log):
        node.get("/healthz")
    stores = answer("cluster", "stores", *words)["stores"]
    assert [store["store"] for store in stores if store["url"]] == ["one", "two"]


def test_a_node_is_drained(realm: Realm) -> None:
    """The others hold what it held, and it is no longer among those that live."""
    realm.ask("drain", "n2")
    assert {one["node"] for one in ranges(realm)} == {"n1"}
    assert [node["name"] for node in realm.ask("nodes")["nodes"]] == ["n1"]  # type: ignore[attr-defined]  # JSON
    assert json.loads(realm.nodes["n2"].get("/readyz").text)["status"] == "draining"
    assert realm.nodes["n2"].end() == 0
    realm.started("n2")
    assert realm.ask("status")["nodes_serving"] == 2


def test_the_doctor(realm: Realm) -> None:
    """Of this cluster only that it is a small one; what is broken is told, with the next step."""
    words = ("cluster", "doctor", "--coordinator", realm.coordinator)
    result = run(*words, "--json")
    assert result.exit_code == 1
    findings = json.loads(result.stdout)["findings"]
    assert {finding["about"] for finding in findings} == {"etcd", "store one", "store two"}
    assert {finding["gravity"] for finding in findings} == {"warning"}
    assert run(*words).stdout.count("allow-unreplicated") == 2
    widowed = realm.coordinator.replace("/realm-", ",127.0.0.1:1/realm-")
    shown = run("cluster", "doctor", "--coordinator", widowed).stdout
    assert "warning: etcd 127.0.0.1:1: it cannot be used" in shown
    realm.nodes["n2"].send(signal.SIGSTOP)
    try:
        findings = json.loads(run(*words, "--json").stdout)["findings"]
    finally:
        realm.nodes["n2"].send(signal.SIGCONT)
    assert findings[0]["gravity"] == "error"
