"""A cache lease of one range, as its client counts it.

The client counts from *before* it sent the request that was answered by the grant, and ends a
hundredth early, so that its end comes before the leaseholder's whatever their clocks do. A lease
that has ended is never revived: its entries are void, and what is granted later starts empty.
"""

from __future__ import annotations

from fastness.ranges.requests import Grant
from fastness.runtime.clock import DRIFT, NANOSECONDS_PER_MILLISECOND


def end_of(grant: Grant, sent_ns: int) -> int:
    """When a grant ends that answered a request sent at `sent_ns` of the client's boot clock."""
    return sent_ns + int(grant.milliseconds * (1 - DRIFT) * NANOSECONDS_PER_MILLISECOND)


class HeldLease:
    """The right to serve what was granted under it, while it runs and is not void."""

    __slots__ = ("ends_ns", "epoch", "lease", "range_id", "renewed_ns", "void")

    def __init__(self, range_id: int, grant: Grant, sent_ns: int) -> None:
        self.range_id = range_id
        self.epoch = grant.epoch
        self.lease = grant.lease
        self.renewed_ns = sent_ns
        """When the request was sent whose grant counts now."""
        self.ends_ns = end_of(grant, sent_ns)
        self.void = False

    def runs(self, now_ns: int) -> bool:
        """Whether entries under it may be served at this instant."""
        return now_ns < self.ends_ns and not self.void

    def extend(self, grant: Grant, sent_ns: int) -> None:
        """A later grant of the same lease."""
        if end_of(grant, sent_ns) > self.ends_ns:
            self.renewed_ns = sent_ns
            self.ends_ns = end_of(grant, sent_ns)

    def wants_renewal(self, now_ns: int) -> bool:
        """Whether half of it is over."""
        return 2 * now_ns >= self.renewed_ns + self.ends_ns
