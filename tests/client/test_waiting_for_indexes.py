"""Waiting for an index that the stored records do not allow."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastness
from fastness.errors import SchemaError
from fastness.model import Entity, Index


def test_waiting_for_an_index_that_cannot_be_built_tells_why(tmp_path: Path) -> None:
    """Not for ever: the duplicate is named; once it is gone the same wait succeeds."""

    class Before(Entity, key="id", kind="person"):
        id: int
        email: str

    class After(Entity, key="id", kind="person"):
        id: int
        email: str
        by_email = Index("email", unique=True)

    url = f"file:{tmp_path / 'db'}"
    with fastness.open(url, schema=[Before]) as db, db.transaction() as tx:
        tx.insert(Before(id=1, email="ann@example.org"))
        tx.insert(Before(id=2, email="ann@example.org"))
    with fastness.open(url, schema=[After]) as db:
        with pytest.raises(SchemaError, match=r"by_email cannot become unique.*ann@example\.org"):
            db.wait_until_readable(After.by_email, timeout=60)
        with db.transaction() as tx:
            tx.remove(After, 2)
        assert db.build_indexes() == {}
        assert db.wait_until_readable(After.by_email, timeout=60)
