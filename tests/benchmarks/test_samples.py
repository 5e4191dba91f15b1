"""The statistics that benchmarks are judged by."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.samples import Round, Series, cost_ratio, percentile, rate_ratio, spread


def series(*rounds: tuple[int, int]) -> Series:
    """A series of rounds, each so many operations in so many nanoseconds."""
    return Series("any", [Round(operations, elapsed, []) for operations, elapsed in rounds])


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.5, 5), (0.9, 9), (0.91, 10), (0.99, 10), (1.0, 10), (0.01, 1)]
)
def test_percentiles_of_ten(fraction: float, expected: int) -> None:
    """The nearest rank is the least value with the fraction at or below it."""
    assert percentile(range(1, 11), fraction) == expected


@given(
    values=st.lists(st.integers(0, 1_000), min_size=1),
    fraction=st.sampled_from([0.001, 0.25, 0.5, 0.75, 0.99, 0.999, 1.0]),
)
def test_percentile_is_what_it_says(values: list[int], fraction: float) -> None:
    """At least the fraction lies at or below the answer, less than it below the answer."""
    ordered = sorted(values)
    found = percentile(ordered, fraction)
    wanted = Fraction(str(fraction)) * len(ordered)
    assert sum(value <= found for value in ordered) >= wanted
    assert sum(value < found for value in ordered) < wanted


def test_spread() -> None:
    """Median, least and greatest, of an even number of values too."""
    assert spread([4.0, 1.0, 3.0, 2.0]) == (2.5, 1.0, 4.0)


def test_cost_and_rate_of_a_series() -> None:
    """Costs are microseconds an operation, rates operations a second, both by round."""
    played = series((10, 10_000), (10, 30_000), (10, 20_000))
    assert played.cost_us() == (2.0, 1.0, 3.0)
    assert played.rate().median == 500_000.0


def test_ratios_are_taken_round_by_round() -> None:
    """A round that was slow for both sides leaves the ratio as it was."""
    ours = series((1, 200), (1, 2_000), (1, 400))
    theirs = series((1, 100), (1, 1_000), (1, 100))
    assert cost_ratio(ours, theirs) == (2.0, 2.0, 4.0)
    assert rate_ratio(ours, theirs) == (0.5, 0.25, 0.5)


def test_ratios_count_operations() -> None:
    """Rounds of different lengths are compared by the operation."""
    assert cost_ratio(series((10, 1_000)), series((1, 100))).median == 1.0


def test_ratios_need_as_many_rounds() -> None:
    """A contender that missed a round cannot be compared."""
    with pytest.raises(ValueError, match="zip"):
        cost_ratio(series((1, 1)), series((1, 1), (1, 1)))


def test_percentiles_pool_all_rounds() -> None:
    """Latencies of all rounds count alike, in microseconds; without any there are none."""
    played = Series("any", [Round(2, 9, [4_000, 1_000]), Round(2, 9, [2_000, 3_000])])
    assert played.percentiles() == (2.0, 4.0, 4.0)
    assert series((1, 1)).percentiles() is None
