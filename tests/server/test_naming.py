"""What a node of a cluster is told of itself and of stores, and what is refused of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastness.errors import InvalidOption
from fastness.placement.membership import StoreRecord
from fastness.server.doors import bind_doors
from fastness.server.naming import advertised, own_stores
from fastness.server.settings import Settings
from fastness.server.sources import InvalidConfiguration, load
from fastness.transport.addresses import TcpPlace, UnixPlace

ETCD = "etcd://127.0.0.1:2379/test"
HIDDEN = "postgresql://user:hush@db:5432/x?target=a,b"


def test_stores_by_name() -> None:
    """NAME=URL, where the URL may hold anything after its scheme; a record shows none of it."""
    found = own_stores([f"main={HIDDEN}", "other=postgresql://b/c=d"])
    assert found == {
        "main": StoreRecord("main", HIDDEN),
        "other": StoreRecord("other", "postgresql://b/c=d"),
    }
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    "texts", [["main"], [HIDDEN], ["main=db"], ["=postgresql://b/c"], ["a b=postgresql://b/c"]]
)
def test_stores_misspelt(texts: list[str]) -> None:
    """What is not NAME=URL is refused, without its URL."""
    with pytest.raises(InvalidOption) as caught:
        own_stores(texts)
    assert "hush" not in str(caught.value)


def test_a_store_twice() -> None:
    """One URL for each name."""
    with pytest.raises(InvalidOption, match="'a' is given twice"):
        own_stores(["a=postgresql://b/c", "a=postgresql://b/d"])


def test_where_a_node_is_reached() -> None:
    """Where it listens, or a host, a port or both in its place."""
    listening = TcpPlace("127.0.0.1", 5000)
    assert advertised("", listening) == listening
    assert advertised("node1.example.org", listening) == TcpPlace("node1.example.org", 5000)
    assert advertised("[::1]", listening) == TcpPlace("::1", 5000)
    assert advertised("node1:6000", listening) == TcpPlace("node1", 6000)
    for text in ("node1:0", "unix:socket", "node1:x", "no/de:1"):
        with pytest.raises(InvalidOption):
            advertised(text, listening)
    with pytest.raises(InvalidOption, match="nothing listens over TCP"):
        advertised("node1", UnixPlace("socket"))


def test_settings_of_a_node() -> None:
    """Each from a flag or the environment; nothing of a coordinator or store is ever shown."""
    environment = {
        "FASTNESS_COORDINATOR": ETCD,
        "FASTNESS_STORES": f"a={HIDDEN}  b=postgresql://h1,h2/x",
        "FASTNESS_NAME": "one",
    }
    settings = load(None, environment, {"advertise": "node1:6000"}).settings
    assert settings.stores == (f"a={HIDDEN}", "b=postgresql://h1,h2/x")
    assert (settings.coordinator, settings.name) == (ETCD, "one")
    assert settings.advertise == "node1:6000"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"coordinator": ETCD, "directory": "./x"}, "leave one of the two out"),
        ({"name": "one"}, "name='one' is for a node of a cluster"),
        ({"advertise": "h:1"}, "advertise='h:1' is for a node of a cluster"),
        ({"stores": [f"a={HIDDEN}"]}, "stores is for a node of a cluster"),
        ({"coordinator": ETCD, "name": "o ne"}, "node name 'o ne'"),
        ({"coordinator": ETCD, "stores": [HIDDEN]}, "NAME=URL"),
        ({"coordinator": ETCD, "advertise": "h:x"}, "--advertise: advertise"),
    ],
)
def test_settings_that_contradict(flags: dict[str, object], told: str) -> None:
    """Each is told with what to do, and no secret."""
    with pytest.raises(InvalidConfiguration) as caught:
        load(None, {}, flags)
    assert told in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_unix_socket_named_from_the_folder_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients are told where it is from anywhere."""
    monkeypatch.chdir(tmp_path)
    doors = bind_doors(Settings(listen=(), unix="./socket"))
    try:
        assert doors.urls() == [f"fastness+unix://{tmp_path}/socket"]
        assert doors.place == UnixPlace(f"{tmp_path}/socket")
    finally:
        doors.close()
