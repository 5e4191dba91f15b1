"""A database for each test of typed records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model.world import ALL, World


@pytest.fixture
def world() -> Iterator[World]:
    """A database that knows all classes of `tests.model.world`."""
    with World(*ALL) as made:
        yield made
