"""The checkers against the definition, on thousands of small random histories."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from fastness.testing import check_list_append, check_read_write_registers, check_registers
from tests.histories.exhaustive import strictly_serializable
from tests.histories.small_histories import (
    random_lists,
    random_registers,
    random_single_register,
)

SEEDS = st.integers(0, 2**32)
HISTORIES_PER_SEED = 25


@settings(max_examples=40)
@given(SEEDS)
def test_list_append_is_exact(seed: int) -> None:
    """A list-append history passes if and only if some order explains it."""
    random = Random(seed)
    for _ in range(HISTORIES_PER_SEED):
        history = random_lists(random)
        report = check_list_append(history)
        assert report.ok == strictly_serializable(history), f"{list(history)}\n{report}"


@settings(max_examples=40)
@given(SEEDS)
def test_registers_are_exact(seed: int) -> None:
    """A single-register history passes if and only if some order explains it."""
    random = Random(seed)
    for _ in range(HISTORIES_PER_SEED):
        history = random_single_register(random)
        report = check_registers(history)
        assert report.ok == strictly_serializable(history), f"{list(history)}\n{report}"


@settings(max_examples=40)
@given(SEEDS)
def test_read_write_registers_never_accuse_the_innocent(seed: int) -> None:
    """Where some order explains a read/write history, nothing is reported."""
    random = Random(seed)
    for _ in range(HISTORIES_PER_SEED):
        history = random_registers(random)
        report = check_read_write_registers(history)
        if not report.ok:
            assert not strictly_serializable(history), f"{list(history)}\n{report}"


def test_read_write_registers_miss_little() -> None:
    """Of the small read/write histories that no order explains, at least 99% are caught."""
    random = Random(1)
    found: Counter[bool] = Counter()
    for _ in range(2_000):
        history = random_registers(random)
        if not strictly_serializable(history):
            found[check_read_write_registers(history).ok] += 1
    assert 99 * found[True] <= found[False], found


def test_small_histories_are_both_right_and_wrong() -> None:
    """The generators draw enough of both kinds for the comparisons to mean something."""
    for generate in (random_lists, random_registers, random_single_register):
        random = Random(2)
        verdicts = Counter(strictly_serializable(generate(random)) for _ in range(400))
        assert min(verdicts[True], verdicts[False]) > 60, (generate.__name__, verdicts)
