"""Conflicts that are declared, not written: they bind whoever read, as writes do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.errors import Conflict
from fastness.limits import Limits
from fastness.ranges import Commit, CommitState
from tests.ranges.requests import committed, new_range, request

A, B, C = b"a", b"b", b"c"


def declaring(*keys: bytes, interval: tuple[bytes, bytes] | None = None) -> Commit:
    """A commit that writes nothing and declares these as written."""
    commit = request()
    commit.write_keys = set(keys)
    commit.write_intervals = [KeyInterval(*interval)] if interval else None
    return commit


@pytest.mark.parametrize("declared", [declaring(A), declaring(interval=(A, B))])
def test_a_declared_conflict_fails_whoever_read(declared: Commit) -> None:
    """In the open batch, in the one being written, and once it is applied."""
    declared.state = CommitState.NEW
    owned = new_range()
    owned.submit(declared)
    waiting = request(reads=[A], writes={C: b"1"})
    assert owned.submit(waiting) is CommitState.WAITING
    committed(owned, 1)
    late = request(reads=[A], writes={C: b"1"})
    assert owned.submit(late) is CommitState.FAILED
    for reader in (waiting, late):
        assert isinstance(reader.error, Conflict)
    assert owned.submit(request(reads=[C], writes={C: b"1"})) is CommitState.JOINED


@pytest.mark.parametrize("interval", [None, (A, B)])
def test_a_declared_conflict_outlives_the_memory(interval: tuple[bytes, bytes] | None) -> None:
    """The store knows nothing of it: forgotten, it stands for every read, so none is missed."""
    owned = new_range(replace(Limits(), recent_keys=1))
    owned.submit(declaring(*([A] if interval is None else []), interval=interval))
    committed(owned, 10)
    for first in (20, 30, 40):
        owned.submit(request(writes={C: b"1"}))
        committed(owned, first)
    before, after = (request(at=at, reads=[A], writes={B: b"1"}) for at in (9, 10))
    assert owned.submit(before) is CommitState.FAILED
    assert isinstance(before.error, Conflict)
    assert "declared" in str(before.error)
    assert owned.submit(after) is CommitState.NEEDS_STORE
