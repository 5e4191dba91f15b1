"""`Database.audit_cache`: every hit compared with the truth, and a planted lie found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fastness
from fastness import Database
from fastness.cache import CachedScan
from fastness.client.cache_audit import CacheAudit
from fastness.client.cluster.blocking import BlockingBacking
from fastness.errors import InvalidOption
from tests.client.servers import RunningServer

KEYS = [b"key %d" % number for number in range(5)]


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """A server that lets everybody in."""
    with RunningServer() as running:
        yield running


def warmed(db: Database) -> None:
    """Fill the cache with keys, an absence and a scan."""
    for key in [*KEYS, b"absent"]:
        db.get(key)
    db.scan(b"", b"\xff")


def test_what_is_cached_is_the_truth(server: RunningServer) -> None:
    """Keys, absences and scans are compared; what others write meanwhile is dropped, not stale."""
    with (
        fastness.open(f"{server.url}?cache=on") as db,
        fastness.open(server.url) as other,
    ):
        for key in KEYS:
            other.set(key, b"1")
        warmed(db)
        while not db.audit_cache().true:
            warmed(db)
        for turn in range(50):
            other.set(KEYS[turn % 5], b"%d" % turn)
            warmed(db)
            assert db.audit_cache().ratio == 1.0


@pytest.mark.parametrize("lies", ["key", "scan"])
def test_a_stale_entry_is_found(server: RunningServer, lies: str) -> None:
    """An entry that shows what was overwritten makes the ratio less than 1."""
    with fastness.open(f"{server.url}?cache=on") as db:
        before = db.set(KEYS[0], b"old")
        assert isinstance(db.backing, BlockingBacking)
        near = db.backing.core.cached.near
        audit = CacheAudit()
        while not audit.stale:
            warmed(db)
            for entry in near.recent(100):
                cell = before.to_bytes(8, "big") + b"older"
                if isinstance(entry, CachedScan):
                    if lies == "scan":
                        entry.items[:] = [(KEYS[0], cell)]
                elif lies == "key" and entry.key == KEYS[0]:
                    entry.cell = cell
            audit = db.audit_cache()
        assert audit.ratio < 1.0


@pytest.mark.parametrize("entries", [0, -1, True, "all"])
def test_a_number_of_entries_that_is_none_is_refused(entries: object) -> None:
    """The message shows what was given."""
    with (
        fastness.open("memory:") as db,
        pytest.raises(InvalidOption, match=f"entries={entries!r}"),
    ):
        db.audit_cache(entries)  # type: ignore[arg-type]  # what is refused


def test_nothing_is_cached_without_a_server() -> None:
    """An engine in this process has nothing to audit, and says 1."""
    with fastness.open("memory:") as db:
        assert db.audit_cache() == CacheAudit()
        assert CacheAudit().ratio == 1.0
