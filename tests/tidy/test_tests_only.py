"""The checks of test files, each on a planted violation and on its nearest lawful twin."""

from __future__ import annotations

import pytest

from tests.tidy.planted import TEST, module
from tools.tidy import tests_only


def test_a_test_states_its_goal() -> None:
    """A test without a docstring is found, also as a method; what supports tests need not."""
    code = """
        def test_bare(): ...
        class TestCells:
            async def test_method(self): ...
        def test_good():
            '''Its goal.'''
        def opened(): ...
    """
    messages = [finding.message for finding in tests_only.goals(module(code, TEST))]
    assert [message.split()[0] for message in messages] == ["test_bare", "test_method"]


@pytest.mark.parametrize(
    "code",
    ["time.sleep(1)", "time.sleep(0)", "from time import sleep", "asyncio.sleep(0.1)"],
)
def test_a_test_does_not_sleep(code: str) -> None:
    """Waiting for time to pass is found."""
    assert len(list(tests_only.sleeps(module(code, TEST)))) == 1


@pytest.mark.parametrize("code", ["asyncio.sleep(0)", "clock.sleep(5)", "from time import time"])
def test_a_test_may_yield(code: str) -> None:
    """Letting other tasks run, or driving a clock of ours, passes."""
    assert not list(tests_only.sleeps(module(code, TEST)))


@pytest.mark.parametrize(
    "code",
    ["import unittest.mock", "from unittest import mock", "from unittest.mock import Mock"],
)
def test_a_test_does_not_mock(code: str) -> None:
    """A mocking library is found however it is imported."""
    assert len(list(tests_only.mocks(module(code, TEST)))) == 1


def test_a_test_may_import_the_rest_of_unittest() -> None:
    """Only mocks are banned."""
    assert not list(tests_only.mocks(module("import unittest\nfrom unittest import case", TEST)))
