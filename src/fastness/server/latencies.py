"""How long requests took, by what they asked, and the log of those that took too long.

What is timed is the work of a range on a request, from its admission to its answer: reads that
wait for an undecided transaction, commits that wait for their batch and the disk. The way over
the network is the client's to measure.
"""

from __future__ import annotations

import logging

from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Decide,
    Prepare,
    RangeRequest,
    Read,
    RenewCache,
    Reserve,
    Resolve,
)
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND, Clock
from fastness.server.exposition import Histogram
from fastness.server.logs import event
from fastness.server.reach import operations_in

_NAMES: dict[type[RangeRequest], str] = {
    CommitOne: "commit",
    Prepare: "prepare",
    Decide: "decide",
    Ask: "ask",
    Resolve: "resolve",
    Reserve: "reserve",
    RenewCache: "renew",
}
_READS = ("read", "scan")

slow_log = logging.getLogger("fastness.server.slow")


def name_of(request: RangeRequest) -> str:
    """What a request is called in figures and logs."""
    if type(request) is Read:
        return "read" if request.scan is None else "scan"
    return _NAMES[type(request)]


class Latencies:
    """See the module's page. `slow_ms` 0 logs nothing."""

    def __init__(self, clock: Clock, *, slow_ms: int) -> None:
        self.clock = clock
        self.by_name = {name: Histogram() for name in (*_READS, *_NAMES.values())}
        self._reads, self._scans = (self.by_name[name] for name in _READS)
        self._by_kind = {kind: self.by_name[name] for kind, name in _NAMES.items()}
        self.slow = 0
        """Requests that took as long as the log wants to hear of."""
        self._slow_ns = 0
        self.log_from(slow_ms)

    def log_from(self, slow_ms: int) -> None:
        """Log requests that take so long, 0: none."""
        self._slow_ns = slow_ms * NANOSECONDS_PER_MILLISECOND

    def record(self, request: RangeRequest, began_ns: int, token: str) -> None:
        """A request that began then is being answered now."""
        took_ns = self.clock.boot_ns() - began_ns
        if type(request) is Read:
            (self._reads if request.scan is None else self._scans).record(took_ns)
        else:
            self._by_kind[type(request)].record(took_ns)
        if self._slow_ns and took_ns >= self._slow_ns:
            self.slow += 1
            self._log(request, took_ns, token)

    def _log(self, request: RangeRequest, took_ns: int, token: str) -> None:
        event(
            slow_log,
            logging.WARNING,
            "slow request",
            request=name_of(request),
            milliseconds=round(took_ns / NANOSECONDS_PER_MILLISECOND, 1),
            operations=operations_in(request),
            token=token,
            range=request.range_id,
            first=_first_key(request),
        )


def _first_key(request: RangeRequest) -> str:
    key = b""
    if isinstance(request, Read):
        key = request.keys[0] if request.keys else request.scan.begin if request.scan else b""
    elif isinstance(request, CommitOne | Prepare):
        content = request.content
        written = (write.key for write in content.writes)
        key = next(iter((*written, *content.atomics, *content.read_keys)), b"")
    return repr(key[:80])
