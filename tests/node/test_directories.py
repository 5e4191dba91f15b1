"""What a server leaves in its directory for an embedded database, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastness
from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import ForeignStore
from fastness.hosting.marks import RANGE_ID
from fastness.ranges.requests import Done
from fastness.ranges.shape import DECLARED_RECORD, INTENT
from fastness.storage import Batch, RocksStore
from fastness.wire.messages import Body, MergeRange, SplitRange
from tests.node.servers import Premises, serving


async def asked(premises: Premises, body: Body) -> object:
    """The server's answer to a request."""
    assert premises.server is not None
    calls = premises.client().core.calls
    return await calls.ask(premises.server.address, body)


def generation(premises: Premises) -> int:
    """Of the first range."""
    assert premises.server is not None
    return premises.server.node.leaseholders[RANGE_ID].shape.generation


def test_a_directory_of_several_ranges_is_only_served(tmp_path: Path) -> None:
    """It is not opened embedded before the ranges were merged; nothing is lost on the way."""
    data = tmp_path / "data"

    async def split(premises: Premises) -> None:
        await premises.start()
        client = premises.client()
        for key in (b"a", b"z"):
            await client.set(key, key)
        request = SplitRange(RANGE_ID, generation(premises), b"m")
        assert isinstance(await asked(premises, request), Done)
        async with client.transaction() as tx:
            tx.set(b"b", b"b")
            tx.set(b"y", b"y")

    async def merge(premises: Premises) -> None:
        server = await premises.start()
        assert len(server.node.leaseholders) == 2
        entries = [(key, key) for key in (b"a", b"b", b"y", b"z")]
        assert (await premises.client().scan(b"", b"\xff")).entries == entries
        request = MergeRange(RANGE_ID, generation(premises))
        assert isinstance(await asked(premises, request), Done)
        (leaseholder,) = server.node.leaseholders.values()
        await premises.until(lambda: not leaseholder.undecided)
        await server.drain()

    serving(split, data)
    for read_only in (False, True):
        with pytest.raises(ForeignStore, match=r"2 ranges.*serve it"):
            fastness.open(f"file:{data}", read_only=read_only)
    serving(merge, data)
    with fastness.open(f"file:{data}") as database:
        assert [key for key, _value in database.scan(b"", b"\xff").entries] == [
            b"a",
            b"b",
            b"y",
            b"z",
        ]


def test_a_directory_with_an_undecided_transaction_is_only_served(tmp_path: Path) -> None:
    """An embedded database would not see what may have been decided elsewhere."""
    store = RocksStore.open(tmp_path / "data")
    store.open_range(RANGE_ID, 1)
    store.apply(Batch(RANGE_ID, 1, 1, [], records={INTENT + b"id": b"an intent"}))
    store.close()
    with pytest.raises(ForeignStore, match=r"1 transactions.*decided"):
        fastness.open(f"file:{tmp_path / 'data'}")


def test_writes_declared_embedded_are_known_to_a_server(tmp_path: Path) -> None:
    """A client that read before, and commits after a server took over, is a conflict to them."""
    data = tmp_path / "data"
    with fastness.open(f"file:{data}") as database:
        database.set(b"a", b"1")
        with database.transaction() as tx:
            tx.set(b"b", b"1")
            tx.add_write_conflict_key(b"a")
        declared = tx.commit_timestamp
        database.set(b"a", b"2")
    store = RocksStore.open(data)
    record = store.range_records(RANGE_ID)[DECLARED_RECORD]
    assert int.from_bytes(record, "big") == declared
    store.close()


def test_many_embedded_openings_are_no_hindrance(tmp_path: Path) -> None:
    """Each opened the range at a higher epoch; the server's is above all of them, at once."""
    data = tmp_path / "data"
    for number in range(12):
        with fastness.open(f"file:{data}") as database:
            database.set(b"a", b"%d" % number)

    async def scenario(premises: Premises) -> None:
        server = await premises.start()
        assert server.counts.opens_failed == 0
        assert server.counts.claims_won == 2
        assert await premises.client().get(b"a") == b"11"
        (leaseholder,) = server.node.leaseholders.values()
        assert leaseholder.shape.interval == (b"", SYSTEM_END)

    serving(scenario, data)
