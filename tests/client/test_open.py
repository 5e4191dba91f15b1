"""`open` and `open_async`: URLs, options, and what a database says of itself."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fastness
from fastness import Limits
from fastness.errors import (
    DatabaseClosed,
    DirectoryHeld,
    InvalidOption,
    InvalidUrl,
    StoreReadOnly,
)
from fastness.runtime import ManualClock


@pytest.fixture
def any_database_url(own_database_url: str) -> str:
    """What is opened here; `test_remote.py` is about servers."""
    return own_database_url


@pytest.mark.parametrize(
    "url",
    ["", "memory", "memory:x", "memory://", "file:", "file", "postgres:x", ":memory:", "somewhere"],
)
def test_a_url_that_names_no_engine_is_refused(url: str) -> None:
    """The message shows it, and those that do."""
    with pytest.raises(
        InvalidUrl,
        match=re.escape(f"{url!r} names no engine: use 'memory:', 'file:PATH', 'fastness://"),
    ):
        fastness.open(url)


@pytest.mark.parametrize("url", [Path("somewhere"), None, b"memory:", 7])
def test_a_url_is_text(url: object) -> None:
    """A path or bytes by mistake is told apart from a wrong URL."""
    opening: Any = fastness.open
    with pytest.raises(InvalidUrl, match="is no URL: use 'memory:', 'file:PATH', 'fastness://"):
        opening(url)


def test_options_are_checked() -> None:
    """Durability by name, limits as Limits: anything else is refused before anything is opened."""
    opening: Any = fastness.open
    for durability in ("fsync", None, True):
        with pytest.raises(InvalidOption, match=f"durability={durability!r} is neither"):
            opening("memory:", durability=durability)
    for limits in ({"retries": 3}, 7, "small"):
        with pytest.raises(InvalidOption, match="limits="):
            opening("memory:", limits=limits)
    for value in (0, -1, 1.5, True, "3", None):
        mistake: Any = value
        with pytest.raises(InvalidOption, match=re.escape(f"limit retries={value!r}")):
            replace(Limits(), retries=mistake)


def test_what_was_opened_is_what_was_asked_for(any_database_url: str) -> None:
    """Limits and URL show; two memory databases are two."""
    limits = replace(Limits(), retries=7)
    with fastness.open(any_database_url, limits=limits) as database:
        assert database.limits is limits
        stat = database.stat()
        assert stat.url == any_database_url
        assert re.fullmatch("[0-9a-f]{32}", stat.store.identity)
        assert (stat.commits, stat.conflicts, stat.store.batches, stat.watches) == (0, 0, 0, 0)
        with fastness.open("memory:") as other:
            other.set(b"k", b"1")
            assert database.get(b"k") is None
            assert other.stat().store.identity != stat.store.identity


def test_what_is_counted_counts(any_database_url: str) -> None:
    """Commits, conflicts, watches and the size, as they happen."""
    with fastness.open(any_database_url) as database:
        loser = database.transaction()
        loser.get(b"k")
        loser.set(b"k", b"2")
        database.set(b"k", b"1")
        with pytest.raises(fastness.errors.Conflict):
            loser.commit()
        watch = database.watch(b"k")
        stat = database.stat()
        assert (stat.commits, stat.conflicts, stat.watches) == (1, 1, 1)
        assert stat.read_timestamp >= stat.store.prune_horizon
        assert stat.store.size.bytes_on_disk > 0
        watch.cancel()


def test_a_database_of_files_survives_its_closing(tmp_path: Path) -> None:
    """Everything is there again, timestamps go on above, identity stays."""
    url = f"file:{tmp_path / 'db'}"
    with fastness.open(url) as database:
        first = database.set(b"k", b"1")
        identity = database.stat().store.identity
    with fastness.open(url) as database:
        assert database.get(b"k") == b"1"
        assert database.now() >= first
        assert database.set(b"k", b"2") > first
        assert database.transaction(at=first).get(b"k") == b"1"
        assert database.stat().store.identity == identity
    with pytest.raises(DatabaseClosed, match="open it again"):
        database.get(b"k")


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    """A second open says who holds it; reading beside the owner is possible, writing is not."""
    url = f"file:{tmp_path / 'db'}"
    with fastness.open(url) as owner:
        owner.set(b"k", b"1")
        with pytest.raises(DirectoryHeld, match=r"\d+"):
            fastness.open(url)
        with fastness.open(url, read_only=True) as beside:
            owner.set(b"k", b"2")
            assert beside.get(b"k") == b"1"
            with pytest.raises(StoreReadOnly, match="read_only=True"):
                beside.set(b"k", b"3")
    with fastness.open(url) as next_owner:
        assert next_owner.get(b"k") == b"2"


def test_relaxed_durability_acknowledges_before_the_disk(any_database_url: str) -> None:
    """Everything else is the same, and a clean close makes it durable."""
    with fastness.open(any_database_url, durability="relaxed") as database:
        for number in range(20):
            database.set(b"k", b"%d" % number)
            assert database.get(b"k") == b"%d" % number
    if any_database_url.startswith("file:"):
        with fastness.open(any_database_url) as database:
            assert database.get(b"k") == b"19"


def test_tasks_open_the_same(any_database_url: str) -> None:
    """`open_async` takes the same, refuses the same, and closes at the end of its block."""

    async def everything() -> None:
        with pytest.raises(InvalidUrl):
            await fastness.open_async("nowhere")
        clock = ManualClock()
        async with await fastness.open_async(any_database_url, clock=clock) as database:
            assert await database.set(b"k", b"1") <= await database.now()
            assert await database.get(b"k") == b"1"
            assert (await database.stat()).commits == 1
        with pytest.raises(DatabaseClosed):
            await database.get(b"k")
        await database.close()

    asyncio.run(everything())
