"""What is counted of a range's requests: rates, and the key that parts them."""

from __future__ import annotations

from fastness.node.load import INTERVALS, KEYS_MIN, SAMPLED, RangeLoad
from fastness.ranges.requests import Read, Scan

SECOND = 1_000_000_000


def ask(load: RangeLoad, *keys: bytes, times: int) -> None:
    """Requests for these keys in turn, so many for each that is sampled."""
    for _time in range(times):
        for key in keys:
            for _ in range(SAMPLED):
                load.note(Read(1, 1, [key], None, 0))


def test_rates_are_averaged() -> None:
    """Requests a second over intervals; it means something after some of them."""
    load = RangeLoad(0)
    for interval in range(1, INTERVALS + 1):
        assert not load.is_measured
        ask(load, b"a", times=10)
        load.measure(interval * SECOND)
    assert load.is_measured
    assert load.rate == 10 * SAMPLED
    load.measure((INTERVALS + 1) * SECOND)
    assert load.rate == 5 * SAMPLED
    load.measure((INTERVALS + 1) * SECOND)
    assert load.rate == 5 * SAMPLED


def test_the_key_that_parts_requests() -> None:
    """About half of them go to either side of it; one hot key cannot be parted."""
    load = RangeLoad(0)
    assert load.split_key() == b""
    ask(load, b"a", times=KEYS_MIN)
    assert load.split_key() == b""
    load = RangeLoad(0)
    ask(load, b"a", b"b", b"c", b"d", times=KEYS_MIN)
    assert load.split_key() == b"c"
    load = RangeLoad(0)
    ask(load, b"a", b"a", b"b", times=KEYS_MIN)
    assert load.split_key() == b"b"


def test_scans_count_where_they_begin() -> None:
    """They name no key."""
    load = RangeLoad(0)
    for begin in (b"a", b"b"):
        for _ in range(KEYS_MIN * SAMPLED):
            load.note(Read(1, 1, [], Scan(begin, b"z", 10), 0))
    assert load.split_key() == b"b"
