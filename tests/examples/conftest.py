"""A database of the files service, here and behind a server, and a space to work in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fastness
from examples.files import service
from examples.files.schema import SCHEMA, SpaceId
from fastness import Database
from tests.client.servers import RunningServer

QUOTA = 1_000_000


@pytest.fixture(params=["memory", "server"])
def db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database of the service: in memory, and in the memory of a server."""
    if request.param == "memory":
        with fastness.open("memory:", schema=SCHEMA) as opened:
            yield opened
        return
    with RunningServer() as server, fastness.open(server.url, schema=SCHEMA) as opened:
        yield opened


@pytest.fixture
def space(db: Database) -> SpaceId:
    """A space of ann's; bob is registered too."""
    service.create_user(db, "ann")
    service.create_user(db, "bob")
    return service.create_space(db, "ann", "home", quota=QUOTA).id
