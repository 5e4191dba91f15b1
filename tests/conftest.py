"""What every test runs under: costly invariants on, reproducible examples, no leaked threads.

Everything here happens around tests, not for them: a fixture that only some tests use belongs
in the conftest of their folder.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.threads import still_running

THREAD_PATIENCE_SECONDS = 5.0

# Before the first import of fastness, which reads it once; processes that tests start inherit it.
os.environ.setdefault("FASTNESS_EXPENSIVE_CHECKS", "1")

# `ci` draws the same examples in every run, so that a red build is red again when repeated.
# `explore` hunts: pytest --hypothesis-profile=explore, then keep what it finds as an @example.
# Neither has a deadline per example: a slow machine must not fail a correct program.
settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("ci"), derandomize=False, max_examples=2000
)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves a thread running: something it opened was not closed.

    Fixtures of wider scope start before this one, so their threads are none of the test's.
    """
    before = set(threading.enumerate())
    yield
    if leaked := still_running(before, patience_seconds=THREAD_PATIENCE_SECONDS):
        pytest.fail(f"threads still running after the test: {leaked}; close what started them")
