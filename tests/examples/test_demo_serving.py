"""The demo's stage behind a server: what it would find, were something wrong, and its metrics."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

import fastness
from examples.files import service
from examples.files.demo import customer, serving
from examples.files.demo.customers import Summary, Task
from examples.files.demo.metrics import Metrics
from examples.files.demo.report import Results, print_report
from examples.files.demo.served_report import served_document
from examples.files.demo.server import Server, ServerFailed
from examples.files.demo.serving import Served
from examples.files.schema import ROOT, SCHEMA, Entry, EntryId, SpaceId
from fastness import Database
from fastness.errors import FastnessError, Unreachable

SPACE = SpaceId(5)


@pytest.fixture
def db() -> Iterator[Database]:
    """A space of the files service in memory."""
    with fastness.open("memory:", schema=SCHEMA) as opened:
        service.create_user(opened, "ann")
        service.create_space(opened, "ann", "home", quota=1 << 40, space=SPACE)
        yield opened


class Heard:
    """A teller that keeps what it is told."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, object]] = []

    def tell(self, kind: bytes, content: object) -> None:
        """One frame."""
        self.frames.append((kind, content))


def task_of(db: Database) -> Task:
    """A task of two processes, the first of which this one is."""
    notes = service.create_folder(db, SPACE, ROOT, "notes").id
    ledgers = [service.create_file(db, SPACE, ROOT, f"ledger {n}").id for n in range(2)]
    nothing: dict[str, Any] = {"folder": ROOT, "folders": [], "paths": [], "listed": []}
    return Task(
        url="memory:",
        number=0,
        seed=1,
        threads=1,
        operations=1,
        space=SPACE,
        tree=SPACE,
        users=[],
        notes=notes,
        ledgers=ledgers,
        **nothing,
    )


def test_a_keeper_is_content_with_what_is_right(db: Database) -> None:
    """Each write raises the revision by one, and what others write goes forward."""
    task = task_of(db)
    keeper = customer.Keeper(db, task, Heard())
    for turn in range(1, 4):
        keeper.turn(turn)
        service.write(db, SPACE, task.ledgers[1], size=turn, content=b"theirs")
    assert keeper.summary.problems == []
    assert keeper.summary.looks == 9


def test_a_write_that_was_applied_twice_is_found(db: Database) -> None:
    """Somebody else's write of a ledger looks like an own one that was applied twice."""
    task = task_of(db)
    keeper = customer.Keeper(db, task, Heard())
    keeper.turn(1)
    service.write(db, SPACE, task.ledgers[0], size=9, content=b"twice")
    keeper.turn(2)
    assert any("took the ledger from revision 2 to 4" in one for one in keeper.summary.problems)


def test_a_ledger_that_goes_back_is_found(db: Database) -> None:
    """A process that has seen a revision accepts no earlier one."""
    task = task_of(db)
    keeper = customer.Keeper(db, task, Heard())
    keeper.turn(1)
    keeper.seen[1] = 7
    keeper.look()
    assert keeper.summary.problems == ["process 0: ledger 1 was read at revision 1 after 7"]


def judged(db: Database, summary: Summary, *acknowledged: Entry) -> Served:
    """The judgement on one client."""
    client = serving.Heard()
    client.summary = summary
    client.newest = {entry.id: entry for entry in acknowledged}
    served = Served(processes=1, operations=1)
    serving.judge(db, served, [client])
    return served


def test_what_is_missing_or_stale_is_found(db: Database) -> None:
    """Lost and changed entries, stale hits, and an audit of nothing fail the demo."""
    entry = service.create_file(db, SPACE, ROOT, "note", size=1)
    fine = Summary(audited=10)
    assert judged(db, fine, entry).problems == []
    newer = msgspec.structs.replace(entry, size=2)
    assert "acknowledged" in judged(db, fine, newer).problems[0]
    lost = msgspec.structs.replace(entry, id=EntryId(99))
    assert "stored None" in judged(db, fine, lost).problems[0]
    stale = judged(db, Summary(audited=10, stale=1))
    assert stale.ratio == 0.9
    assert "1 entries of near caches were stale" in stale.problems
    assert "ever audited" in judged(db, Summary()).problems[0]
    assert Results(served=stale).failures()
    console = Console(file=io.StringIO(), width=100)
    print_report(console, Results(served=stale), path=Path("tree"), database=Path("data"))
    assert isinstance(console.file, io.StringIO)
    assert "0.900000" in console.file.getvalue()
    assert served_document(stale)["consistency_ratio"] == 0.9


TOLD = """\
# HELP a_seconds Of something.
# TYPE a_seconds histogram
a_seconds_bucket{request="read",le="0.001"} 50
a_seconds_bucket{request="read",le="0.01"} 100
a_seconds_bucket{request="read",le="+Inf"} 100
a_seconds_sum{request="read"} 0.3
a_seconds_count{request="read"} 100
a_seconds_bucket{request="commit",le="0.001"} 0
a_seconds_bucket{request="commit",le="0.01"} 0
a_seconds_bucket{request="commit",le="+Inf"} 0
b_total 7
c_total{token="x"} 2.5
d 1
"""


def test_metrics_are_read_and_added_up() -> None:
    """Counters and buckets of two lives add up; quantiles are those of Prometheus."""
    metrics = Metrics.of(TOLD)
    metrics.add(Metrics.of(TOLD))
    assert metrics.counter("b_total") == 14
    assert metrics.counter("absent_total") == 0
    histogram = metrics.histogram("a_seconds", "read")
    assert histogram.count == 200
    assert histogram.quantile_s(0.25) == pytest.approx(0.0005)
    assert histogram.quantile_s(0.5) == pytest.approx(0.001)
    assert histogram.quantile_s(0.75) == pytest.approx(0.0055)
    assert metrics.histogram("a_seconds", "commit").quantile_s(0.5) == 0.0
    assert metrics.labels_of("a_seconds") == ["read"]


@pytest.mark.process
def test_a_server_that_cannot_begin_says_why(tmp_path: Path) -> None:
    """Its own words are in the error, and nothing of it is left."""
    place = tmp_path / "data"
    with (
        fastness.open(f"file:{place}"),
        pytest.raises(ServerFailed, match="directory_held"),
        Server(place) as server,
    ):
        server.start()


@pytest.mark.process
def test_a_server_keeps_its_address_over_a_death(tmp_path: Path) -> None:
    """Killed and started again it is where it was; drained it ends well, and only then."""
    with Server(tmp_path / "data") as server:
        server.start()
        url = server.url
        with fastness.open(url) as db:
            db.set(b"a", b"1")
            server.kill()
            server.start()
            assert server.url == url
            assert db.get(b"a") == b"1"
        assert server.metrics().counter("fastness_node_requests_total") > 0
        server.drain()
    with pytest.raises(FastnessError):
        fastness.open(f"{url}?operation_ms=200&handshake_ms=200")


@pytest.mark.process
def test_a_process_that_begins_while_the_server_is_dead_waits_for_it(tmp_path: Path) -> None:
    """Opening fails at once where nobody listens; who comes just then tries again."""
    with Server(tmp_path / "data") as server, ThreadPoolExecutor(1) as pool:
        server.start()
        server.kill()
        with pytest.raises(Unreachable):
            fastness.open(server.url)
        opening = pool.submit(customer.opened, server.url)
        server.start()
        with opening.result() as db:
            assert db.get(b"a") is None
