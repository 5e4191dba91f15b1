"""Bugs of timestamps, leases, the oracle, stores, horizons and closed timestamps.

Each function makes the buggy piece of the right one; `planting.py` says how it is put in place.
"""

from __future__ import annotations

from typing import Any

from fastness.client.cluster.timestamps import Timestamps
from fastness.errors import FastnessError
from fastness.node import opening, oracle_seat, session
from fastness.node.leases import Lease
from fastness.node.shell import RangeShell
from fastness.node.store_port import StorePort
from fastness.placement import oracle_role
from fastness.ranges import reshaping, shape
from fastness.ranges.leaseholder import Leaseholder
from fastness.ranges.reads import Reads
from fastness.storage import base, cells, planning
from fastness.testing.simulation.bugs.planting import always, plant


def _shared_older_request(right: Any) -> Any:
    def wait(self: Timestamps, queue: list[Any]) -> Any:
        waiter = right(self, queue)
        if self._out and queue is self._readers and waiter in self._readers:
            self._readers.remove(waiter)
            self._served_readers.append(waiter)
        return waiter

    return wait


def _at_least_one(right: Any) -> Any:
    def send(self: Timestamps) -> None:
        if not self._readers and not self._served_readers:
            self._readers.append(self._calls.process.future())
        right(self)

    return send


plant(
    "shared-timestamp-too-old",
    "1.1",
    "a transaction uses the answer to a timestamp request sent before it began",
    (Timestamps, "_wait", _shared_older_request),
    (Timestamps, "_send", _at_least_one),
)


def _from_the_reply(right: Any) -> Any:
    def proved(self: Lease, before_ns: int, lease_ms: int) -> None:
        right(self, before_ns + 2 * lease_ms * 1_000_000, lease_ms)

    return proved


plant(
    "lease-from-the-reply",
    "5.4, H10",
    "a lease is counted generously: from long after its renewal was sent",
    (Lease, "proved", _from_the_reply),
)
plant(
    "successor-does-not-wait",
    "5.3, H5, H9",
    "a new leaseholder commits at once, while the old one may still be read",
    (opening, "waited_ns", always(answer=0)),
)
plant(
    "oracle-does-not-wait",
    "6, H10",
    "a new oracle issues at once, while the old one may still",
    (oracle_seat, "waited_ns", always(answer=0)),
    (oracle_seat.OracleTerm, "_runs", lambda _right: lambda self: not self._closed),
)


def _below_the_ceiling(right: Any) -> Any:
    def init(self: oracle_role.OracleRole, *, start: int, **kwargs: Any) -> None:
        del start
        right(self, start=0, **kwargs)

    return init


plant(
    "oracle-starts-at-its-clock",
    "6, H10",
    "a new oracle starts at its wall clock, not above the durable ceiling",
    (oracle_role.OracleRole, "__init__", _below_the_ceiling),
)


def _never_compared(right: Any) -> Any:
    def renew(self: session.SessionKeeper, tenure: Any) -> Any:
        return _renewed_blindly(self, tenure)

    del right
    return renew


async def _renewed_blindly(keeper: session.SessionKeeper, tenure: Any) -> bool:
    site = keeper._site
    before_ns = site.boot_ns()
    if not await site.coordination.keep_alive(tenure.session):
        return False
    for holding in list(tenure.holdings.values()):
        holding.lease.proved(before_ns, site.limits.lease_ms)
    return True


plant(
    "renewal-compares-nothing",
    "5.1, H9",
    "a node renews its session only, never looking at the keys of its ranges",
    (session.SessionKeeper, "_renew", _never_compared),
    (session.SessionKeeper, "verify", always(answer=True)),
    (RangeShell, "lease_left_ms", lambda _right: lambda self: 0.0 if self.closed else 1000.0),
)


def _no_fence(right: Any) -> Any:
    def advanced(row: Any, batch: Any) -> Any:
        batch.epoch, batch.number = row.epoch, row.batch_number + 1
        return right(row, batch)

    return advanced


plant(
    "no-fence",
    "5.2, H6",
    "the store applies a batch of a deposed leaseholder",
    (base, "advanced", _no_fence),
)


def _doubt_is_success(right: Any) -> Any:
    def applied(self: StorePort, number: int, error: Exception | None) -> None:
        if type(error).__name__ == "Unreachable":
            error = None
        right(self, number, error)

    return applied


plant(
    "doubt-taken-for-success",
    "5.6, H6",
    "a batch whose answer was lost counts as durable",
    (StorePort, "_applied", _doubt_is_success),
)


def _doubt_is_failure(_right: Any) -> Any:
    def settle(self: StorePort, number: int) -> None:
        self._settled(number, answer=False)

    return settle


plant(
    "doubt-taken-for-failure",
    "5.6, H6",
    "a batch whose answer was lost counts as never written",
    (StorePort, "_settle", _doubt_is_failure),
)


def _any_primary(right: Any) -> Any:
    def answered(self: StorePort, token: int, request: Any, _number: int, *rest: Any) -> None:
        right(self, token, request, 0, *rest)

    return answered


plant(
    "demoted-primary-read",
    "5.6, H6",
    "an answer older than what was acknowledged is believed",
    (StorePort, "_answered", _any_primary),
)


def _begun_below(right: Any) -> Any:
    def begin(self: Reads, caller: Any, read: Any, *, waited: bool) -> None:
        owner = self._owner
        horizon, owner.prune_horizon = owner.prune_horizon, 0
        try:
            right(self, caller, read, waited=waited)
        finally:
            owner.raise_horizon(horizon)

    return begin


def _answered_below(right: Any) -> Any:
    def done(self: Reads, reading: Any, found: Any) -> None:
        owner = self._owner
        horizon, owner.prune_horizon = owner.prune_horizon, 0
        right(self, reading, found if isinstance(found, FastnessError) else (*found[:2], 0))
        owner.raise_horizon(horizon)

    return done


plant(
    "read-below-the-horizon",
    "1.2, M1",
    "reads below the prune horizon are served, whatever was removed",
    (Reads, "_begin", _begun_below),
    (Reads, "_done", _answered_below),
)


def _three_seconds_early(_right: Any) -> Any:
    def gone_at(timestamp: int, expires_at: int) -> int:
        return max(timestamp, expires_at - (3_000 << 18))

    return gone_at


plant(
    "pruned-before-it-expired",
    "1.8",
    "pruning removes values that expire up to three seconds above the horizon",
    (cells, "gone_at", _three_seconds_early),
    (planning, "gone_at", _three_seconds_early),
)


def _closed_at_highest(_right: Any) -> Any:
    def closed(self: Leaseholder) -> int:
        return self.ports.issued()

    return closed


plant(
    "closed-passes-intents",
    "4, H11",
    "the closed timestamp follows the highest issued, past what is undecided",
    (Leaseholder, "closed", _closed_at_highest),
)


def _lower_horizon(right: Any) -> Any:
    def merge(left: Any, right_records: Any) -> Any:
        merged = right(left, right_records)
        merged.pop(shape.HORIZON_RECORD, None)
        return {name: data for name, data in merged.items() if name[:1] != shape.OUTCOMES}

    return merge


plant(
    "merge-takes-the-lower-horizon",
    "3.7, H8",
    "a merge forgets the outcomes and the outcome horizon of its halves",
    (reshaping, "merge_records", _lower_horizon),
)
