"""How much is asked of a range, and where it would be split in halves: counted, hardly felt.

Every request is counted and one in `SAMPLED` leaves the first key it names, the last `KEYS_MAX` of
which are kept. Every interval of `limits.balance_ms` the count becomes a rate, averaged with the
ones before, so that one burst moves nothing.
"""

from __future__ import annotations

from collections import deque

from fastness.ranges.requests import CommitOne, Prepare, RangeRequest, Read, keys_of
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND

SAMPLED = 17
"""A prime: requests that come in a cycle are all met with in turn."""
KEYS_MAX = 128
KEYS_MIN = 32
"""Fewer say too little about halves."""
INTERVALS = 2
"""So many intervals after a range was taken its rate means something."""
LESSER_HALF = 0.25
"""A key parts the requests if at least so much of them go to either side."""


class RangeLoad:
    """See the module's page. One per shell, from when it takes the range on."""

    __slots__ = ("_counted", "_intervals", "_keys", "_since_ns", "rate", "requests")

    def __init__(self, now_ns: int) -> None:
        self.requests = 0
        self.rate = 0.0
        """Requests per second."""
        self._counted = 0
        self._since_ns = now_ns
        self._intervals = 0
        self._keys: deque[bytes] = deque(maxlen=KEYS_MAX)

    def note(self, request: RangeRequest) -> None:
        """A request has come."""
        self.requests += 1
        if self.requests % SAMPLED == 0:
            key = _first_key(request)
            if key is not None:
                self._keys.append(key)

    def measure(self, now_ns: int) -> None:
        """An interval is over."""
        elapsed_s = (now_ns - self._since_ns) / NANOSECONDS_PER_MILLISECOND / 1_000
        if elapsed_s <= 0:
            return
        rate = (self.requests - self._counted) / elapsed_s
        self.rate = (self.rate + rate) / 2 if self._intervals else rate
        self._counted, self._since_ns = self.requests, now_ns
        self._intervals += 1

    @property
    def is_measured(self) -> bool:
        """Whether the rate means something."""
        return self._intervals >= INTERVALS

    def split_key(self) -> bytes:
        """The key at or above which about half of the requests went, empty where none parts them.

        One key asked for all the time cannot be parted from itself.
        """
        keys = sorted(self._keys)
        if len(keys) < KEYS_MIN:
            return b""
        middle = keys[len(keys) // 2]
        below = sum(key < middle for key in keys)
        if below < LESSER_HALF * len(keys):
            # The middle key is itself what is asked for: above it, then.
            middle = next((key for key in keys if key > middle), b"")
            below = sum(key < middle for key in keys)
        if not middle or not LESSER_HALF <= below / len(keys) <= 1 - LESSER_HALF:
            return b""
        return middle


def _first_key(request: RangeRequest) -> bytes | None:
    if type(request) is Read:
        if request.keys:
            return request.keys[0]
        return None if request.scan is None else request.scan.begin
    if type(request) is CommitOne or type(request) is Prepare:
        return next(iter(keys_of(request.content)), None)
    return None
