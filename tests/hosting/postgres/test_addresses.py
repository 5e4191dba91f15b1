"""A URL of several hosts: whatever it asks of a session, the primary is found among them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fastness.hosting.postgres import PostgresStore
from tests.hosting.postgres.reached import CLUSTER
from tests.servers.postgres import postgres_pair

pytestmark = pytest.mark.process


def test_the_primary_is_found_whatever_a_url_asks_of_a_session(tmp_path: Path) -> None:
    """As other programs need to ask for it: each host is tried, and none is refused for it."""
    with postgres_pair(tmp_path) as pair:
        url = f"{pair.dsn()}?target_session_attrs="
        identities = {
            asyncio.run(PostgresStore.prepare(url + wanted, CLUSTER))
            for wanted in ("read-write", "standby", "any")
        }
    assert len(identities) == 1
