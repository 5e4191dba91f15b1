"""The synchronous and the asynchronous faces: the same names, the same answers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fastness
from fastness import AtLeast, Within
from fastness.client import AsyncDatabase, AsyncTransaction, Database, Transaction
from fastness.client.cluster.transaction import BlockingTransaction, ClusterTransaction
from fastness.encoding import counters
from fastness.errors import FastnessError, NotFresh, UsageError
from fastness.runtime import ManualClock
from tests.transactions.databases import beside

Pair = tuple[type, type]
PAIRS: list[Pair] = [
    (Database, AsyncDatabase),
    (Transaction, AsyncTransaction),
    (Transaction, BlockingTransaction),
    (AsyncTransaction, ClusterTransaction),
]
NAMES = ["database", "transaction", "blocking", "cluster"]
BESIDES = {
    *("check_key", "has_snapshot", "send_commit"),
    *("read_interval", "read_key", "read_keys", "read_versions"),
}
"""What transactions of a cluster have besides, for the layers around them."""


def public(kind: type) -> dict[str, Any]:
    """The public names of a class and what stands behind them."""
    return {name: what for name, what in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_both_faces_have_the_same_names(pair: Pair) -> None:
    """Whatever one can, the other can, under the same name."""
    assert set(public(pair[0])) == set(public(pair[1])) - BESIDES


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_both_faces_take_the_same_parameters(pair: Pair) -> None:
    """In the same order, with the same defaults."""
    ours, theirs = (public(kind) for kind in pair)
    for name, method in ours.items():
        if callable(method):
            assert [
                (one.name, one.kind, one.default)
                for one in inspect.signature(method).parameters.values()
            ] == [
                (one.name, one.kind, one.default)
                for one in inspect.signature(theirs[name]).parameters.values()
            ], name


SCRIPT: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("set", (b"a", b"1"), {}),
    ("get", (b"a",), {}),
    ("add", (b"n", 5), {}),
    ("add", (b"n", -2), {}),
    ("min", (b"n", 1), {}),
    ("max", (b"m", 9), {}),
    ("append", (b"a", b"2"), {}),
    ("compare_and_clear", (b"a", b"other"), {}),
    ("get_many", ([b"a", b"n", b"m", b"none"],), {}),
    ("scan", (b"a", b"z"), {"limit": 2}),
    ("scan", (b"a", b"z"), {"reverse": True}),
    ("set", (b"b", b"1"), {}),
    ("delete", (b"b",), {}),
    ("delete_range", (b"m", b"n"), {}),
    ("get", ("text",), {}),
    ("scan", (b"z", b"a"), {}),
    ("set", (b"a", None), {}),
    ("scan", (b"", b"\xff"), {}),
]
"""What is asked of both, in this order."""


def told(call: Callable[[], object]) -> object:
    """The answer, or the class and the message of the error."""
    try:
        return call()
    except FastnessError as error:
        return type(error), str(error)


def test_both_faces_answer_alike_inside_a_transaction(database: Database) -> None:
    """Values, pages, continuation tokens and errors."""

    async def through_tasks() -> list[object]:
        async with beside(database) as twin:
            return await through(twin.transaction())

    async def through(tx: AsyncTransaction) -> list[object]:
        answers: list[object] = []
        for name, arguments, options in SCRIPT:
            try:
                answer = getattr(tx, name)(*arguments, **options)
                answers.append(await answer if inspect.isawaitable(answer) else answer)
            except FastnessError as error:
                answers.append((type(error), str(error)))
        answers.append([entry async for entry in tx.scan_all(b"", b"\xff")])
        tx.cancel()
        return answers

    tx = database.transaction()
    ours = [
        told(partial(getattr(tx, name), *arguments, **options))
        for name, arguments, options in SCRIPT
    ]
    ours.append(list(tx.scan_all(b"", b"\xff")))
    tx.cancel()
    assert asyncio.run(through_tasks()) == ours


def test_both_faces_write_alike(database: Database) -> None:
    """The one-operation calls of the database answer their commit timestamps."""

    async def through_tasks() -> None:
        async with beside(database) as twin:
            await through(twin)

    async def through(twin: AsyncDatabase) -> None:
        stamps = [
            await twin.set(b"async", b"1"),
            await twin.add(b"n", 2),
            await twin.delete(b"sync"),
            await twin.delete_range(b"x", b"z"),
        ]
        assert stamps == sorted(set(stamps))
        assert await twin.get_many([b"async", b"sync", b"n"]) == [b"1", None, counters.encode(5)]
        page = await twin.scan(b"", b"\xff", limit=1, reverse=True)
        assert page.entries == [(b"n", counters.encode(5))]
        rest = await twin.scan(b"", b"\xff", limit=9, reverse=True, continuation=page.continuation)
        assert rest.entries == [(b"async", b"1")]
        assert [key async for key, _ in twin.scan_all(b"", b"\xff")] == [b"async", b"n"]

    stamps = [
        database.set(b"sync", b"1"),
        database.set(b"y", b"1"),
        database.add(b"n", 3),
        database.delete(b"none"),
    ]
    assert stamps == sorted(set(stamps))
    asyncio.run(through_tasks())
    assert list(database.scan_all(b"", b"\xff")) == [(b"async", b"1"), (b"n", counters.encode(5))]


def test_every_engine_takes_the_options_of_reads(database: Database) -> None:
    """Where there is nothing to cache, or nothing older, they change nothing."""
    token = database.set(b"k", b"1")
    for freshness in (None, AtLeast(token), Within(60_000)):
        for cache in (None, False, True):
            plain: dict[str, Any] = {"cache": cache, "freshness": freshness}
            assert database.get(b"k", **plain) == b"1"
            assert database.get_many([b"k"], **plain) == [b"1"]
            assert database.scan(b"a", b"z", **plain).entries == [(b"k", b"1")]
            assert list(database.scan_all(b"a", b"z", **plain)) == [(b"k", b"1")]
            with database.transaction(**plain) as tx:
                assert tx.get(b"k", cache=cache) == b"1"
                assert tx.get_many([b"k"], cache=cache) == [b"1"]
                assert tx.scan(b"a", b"z", cache=cache).entries == [(b"k", b"1")]
                assert list(tx.scan_all(b"a", b"z", cache=cache)) == [(b"k", b"1")]
                tx.set(b"zz", b"1")
    assert database.get(b"zz") == b"1"


def test_wrong_keys_are_refused_however_they_are_read(database: Database) -> None:
    """Also where a cache is looked at first: no other type, no system key, none too long."""
    mistake: Any
    for mistake in ("text", None, b"\xff\x02", b"k" * 9_000):
        for cache in (None, False, True):
            with pytest.raises(UsageError, match="key"):
                database.get(mistake, cache=cache)
            with pytest.raises(UsageError, match="key"):
                database.get_many([b"ok", mistake], cache=cache)
            with pytest.raises(UsageError, match="key"):
                database.transaction(cache=cache).get(mistake)


def test_a_database_for_inspection_may_not_be_fresh_enough(tmp_path: Path) -> None:
    """It shows the moment it was opened: what was asked for since raises, and is not shown old."""
    url = f"file:{tmp_path / 'db'}"
    with fastness.open(url) as owner:
        first = owner.set(b"k", b"1")
        with fastness.open(url, read_only=True, clock=ManualClock()) as beside:
            assert beside.get(b"k", freshness=AtLeast(first)) == b"1"
            second = owner.set(b"k", b"2")
            with pytest.raises(NotFresh, match="open it again"):
                beside.get(b"k", freshness=AtLeast(second))
            with pytest.raises(NotFresh):
                beside.transaction(freshness=AtLeast(second))
        clock = ManualClock()
        with fastness.open(url, read_only=True, clock=clock) as beside:
            assert beside.get(b"k", freshness=Within(50)) == b"2"
            clock.advance(milliseconds=51)
            with pytest.raises(NotFresh):
                beside.get(b"k", freshness=Within(50))
