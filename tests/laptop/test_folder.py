"""A cluster's folder: written down before anything starts, and refused where it is not ours."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fastness.errors import (
    AddressUnavailable,
    DirectoryHeld,
    FastnessError,
    ForeignStore,
    InvalidOption,
    Unreachable,
)
from fastness.laptop import plan as plans
from fastness.laptop import processes
from fastness.laptop.cluster import LaptopCluster
from fastness.laptop.folder import Folder
from fastness.laptop.plan import Plan, Size
from fastness.laptop.ports import HOST


def local(_name: str) -> str:
    """Every member is on this machine."""
    return HOST


def planned(
    folder: Path,
    nodes: int | None = None,
    stores: int | None = None,
    standbys: int | None = None,
) -> Plan:
    """The plan of a folder."""
    folder.mkdir(exist_ok=True)
    size_of = partial(Size.or_as_told, nodes=nodes, stores=stores, standbys=standbys)
    return Folder(folder).plan(size_of, local)


def test_a_plan_stays_what_it_is_and_grows(tmp_path: Path) -> None:
    """Ports and passwords are kept; new members get others, each its own."""
    first = planned(tmp_path, nodes=1, stores=1)
    secrets = Folder(tmp_path).secrets(first)
    again = planned(tmp_path)
    assert again == first
    assert Folder(tmp_path).secrets(again) == secrets
    grown = planned(tmp_path, nodes=3, stores=2)
    assert (grown.id, grown.etcd, grown.stores[0]) == (first.id, first.etcd, first.stores[0])
    ports = [port for seat in grown.seats() for port in (seat.port, seat.other_port)]
    assert len(ports) == len(set(ports)) == 2 * (3 + 4 + 3)
    wider = planned(tmp_path, standbys=2)
    assert [[seat.name[-1] for seat in sides] for sides in wider.stores] == [list("abc")] * 2
    assert wider.stores[1][:2] == grown.stores[1]
    more = Folder(tmp_path).secrets(grown).stores
    assert more["store-1"] == secrets.stores["store-1"] != more["store-2"]


def test_secrets_are_for_the_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask says; also the file that Patroni reads."""
    before = os.umask(0)
    try:
        plan = planned(tmp_path, nodes=0, stores=1)
        LaptopCluster(Folder(tmp_path), plan)
    finally:
        os.umask(before)
    for name in (plans.SECRETS, "store-1-a/patroni.yml"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def _format(folder: Path) -> None:
    (folder / plans.PLAN).write_text('{"format": 99, "else": 1}')


def _garbage(folder: Path) -> None:
    (folder / plans.PLAN).write_text('{"format": 1, "id": ')


def _foreign(folder: Path) -> None:
    (folder / plans.PLAN).unlink()
    (folder / "thesis.txt").write_text("precious")


def _another_postgresql(folder: Path) -> None:
    path = folder / plans.PLAN
    path.write_text(json.dumps(json.loads(path.read_text()) | {"postgresql_major": 9}))


def _another_etcd(folder: Path) -> None:
    path = folder / plans.PLAN
    path.write_text(json.dumps(json.loads(path.read_text()) | {"etcd_series": "9.9"}))


@pytest.mark.parametrize(
    ("harm", "kind", "text"),
    [
        (_format, ForeignStore, "has format 99, this version of Fastness reads 1"),
        (_garbage, ForeignStore, "is not what 'fastness cluster up' writes"),
        (_foreign, ForeignStore, "holds .*thesis.txt.* and no cluster.json"),
        (_another_postgresql, ForeignStore, "is of PostgreSQL 9, and .* would run"),
        (_another_etcd, ForeignStore, "is of etcd 9.9, and .* would run"),
    ],
)
def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, harm: Callable[[Path], None], kind: type[FastnessError], text: str
) -> None:
    """With the next step, and nothing in it is touched."""
    planned(tmp_path, nodes=0, stores=1)
    harm(tmp_path)
    there = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with pytest.raises(kind, match=f"{text}.*--folder"):
        LaptopCluster.up(tmp_path)
    left = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.name != "SUPERVISOR"}
    assert left == there


def test_nothing_is_put_into_a_folder_of_something_else(tmp_path: Path) -> None:
    """Neither by a cluster nor by the log of one that runs by itself."""
    (tmp_path / "thesis.txt").write_text("precious")
    for be_made in (Folder(tmp_path).make, Folder(tmp_path).lock):
        with pytest.raises(ForeignStore, match=r"holds thesis\.txt and no cluster\.json"):
            be_made()
        assert [one.name for one in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """It is left as it is, and so is what lies above the folder."""
    file = tmp_path / "file"
    file.write_text("precious")
    assert Folder(file).supervisor() == 0
    with pytest.raises(ForeignStore, match=r"file is a file, not a folder: name another --folder"):
        Folder(file).lock()
    with pytest.raises(InvalidOption, match=r"cannot be made \(Not a directory\)"):
        Folder(file / "below").lock()
    assert file.read_text() == "precious"


@pytest.mark.parametrize(
    ("nodes", "stores", "text"),
    [
        (2, None, "--nodes 2 is fewer than the 3"),
        (None, 1, "--stores 1 is fewer than the 2"),
        (None, 9, "--stores 9 is more than a machine bears: at most 8"),
        (99, None, "--nodes 99 is more than a machine bears: at most 16"),
    ],
)
def test_a_cluster_only_grows(
    tmp_path: Path, nodes: int | None, stores: int | None, text: str
) -> None:
    """Fewer members than there are, or too many, are refused."""
    planned(tmp_path, nodes=3, stores=2)
    with pytest.raises(InvalidOption, match=text):
        planned(tmp_path, nodes=nodes, stores=stores)


def test_a_port_that_somebody_has_is_named(tmp_path: Path) -> None:
    """With the member that it belongs to; nothing is left running."""
    plan = planned(tmp_path, nodes=0, stores=1)
    seat = plan.stores[0][1]
    with (
        socket.create_server((seat.host, seat.other_port)),
        pytest.raises(AddressUnavailable, match=f"port {seat.other_port} .* store-1-b, is taken"),
    ):
        LaptopCluster.up(tmp_path)
    assert processes.marked(plan.id, tmp_path) == set()
    assert Folder(tmp_path).supervisor() == 0


def test_a_folder_has_one_supervisor(tmp_path: Path) -> None:
    """Another is told which process it is, and how to stop it."""
    planned(tmp_path, nodes=0, stores=1)
    first = Folder(tmp_path)
    first.lock()
    try:
        assert Folder(tmp_path).supervisor() == os.getpid()
        with pytest.raises(DirectoryHeld, match=f"process {os.getpid()} .*cluster down --folder"):
            LaptopCluster.up(tmp_path)
    finally:
        first.unlock()
    assert Folder(tmp_path).supervisor() == 0


@pytest.mark.process
def test_a_member_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    """The error has its last words; everything else is stopped again."""
    plan = planned(tmp_path, nodes=0, stores=1)
    Folder(tmp_path).finished(["store-1-a"])
    (tmp_path / "etcd-2").mkdir()
    (tmp_path / "etcd-2" / "member").write_text("no directory")
    with pytest.raises(Unreachable, match=r"etcd-2 ended with 1(.|\n)*etcd-2/log"):
        LaptopCluster.up(tmp_path)
    assert processes.marked(plan.id, tmp_path) == set()


def test_what_was_whole_once_is_never_removed(tmp_path: Path) -> None:
    """An interrupted start loses only stores that nobody was told of."""
    plan = planned(tmp_path, nodes=0, stores=2)
    names = [seat.name for seat in plan.seats()]
    for name in names:
        (tmp_path / name / ("member" if name.startswith("etcd") else "data")).mkdir(parents=True)
    folder = Folder(tmp_path)
    folder.finished(["store-1-a", "store-1-b"])
    assert folder.undo_unfinished(plan) == ["store-2"]
    left = [name for name in names if any((tmp_path / name).iterdir())]
    assert left == [name for name in names if not name.startswith("store-2")]
    (tmp_path / plans.READY).unlink()
    assert folder.undo_unfinished(plan) == ["store-1", "store-2"]
    assert not any(any((tmp_path / name).iterdir()) for name in names)
