"""A database of the files service and a space to work in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fastness
from examples.files import service
from examples.files.schema import SCHEMA, SpaceId
from fastness import Database

QUOTA = 1_000_000


@pytest.fixture
def db() -> Iterator[Database]:
    """An empty database of the service, in memory."""
    with fastness.open("memory:", schema=SCHEMA) as opened:
        yield opened


@pytest.fixture
def space(db: Database) -> SpaceId:
    """A space of ann's; bob is registered too."""
    service.create_user(db, "ann")
    service.create_user(db, "bob")
    return service.create_space(db, "ann", "home", quota=QUOTA).id
