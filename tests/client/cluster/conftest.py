"""Fixtures of this folder."""

from __future__ import annotations

import pytest

from tests.client.cluster.stages import Play, in_a_world, on_a_server


@pytest.fixture(params=[in_a_world, on_a_server])
def stage(request: pytest.FixtureRequest) -> Play:
    """Plays a scenario in a simulated cluster, and on one real server."""
    play: Play = request.param
    return play
