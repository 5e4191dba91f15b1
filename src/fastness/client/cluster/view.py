"""The moment a transaction of a cluster reads at, and what it used before it had one.

A transaction begins without a timestamp. Entries of the near cache may serve it as long as all
that it used may still be served at each further read: everything is then true at that instant.
`draw` fixes the moment; whatever was used before must still be servable at that point, and is
true at the timestamp from then on (CONSISTENCY, section 7.5).
"""

from __future__ import annotations

from typing import NamedTuple

from fastness.cache import CachedKey, CachedScan
from fastness.client.cluster.core import ClusterCore
from fastness.client.freshness import Freshness
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import Conflict


class Moment(NamedTuple):
    """What moment was asked for: now, one of the past, or one that is fresh enough."""

    at: Timestamp | None = None
    is_time: bool = False
    """Whether `at` stands for a time: then what was issued by then is meant, no more."""
    writes: bool = False
    """Whether what is read at `at` may be written upon, if nothing of it has changed since."""
    freshness: Freshness | None = None


NOW = Moment()


class View:
    """One transaction's moment."""

    __slots__ = (
        "_at",
        "_core",
        "_losses",
        "_moment",
        "_until_ns",
        "_used",
        "caching",
        "drawn",
        "draws_first",
        "timestamp",
    )

    def __init__(
        self,
        core: ClusterCore,
        moment: Moment,
        *,
        caching: bool,
        draws_first: bool = False,
    ) -> None:
        """`caching` is what reads do that do not say otherwise.

        With a freshness a timestamp that is known already will do where it is new enough.

        With `draws_first` nothing is used before there is a timestamp: an attempt that failed may
        have lost an entry it used, and could lose one again and again.
        """
        self.draws_first = draws_first
        self._core = core
        self._at = moment.at
        self._moment = moment
        self.caching = caching
        self.timestamp: Timestamp = core.calls.issued
        """The read timestamp once it is drawn; before, the moment is not below it."""
        self.drawn = False
        self._used: list[CachedKey | CachedScan] = []
        self._losses = 0
        self._until_ns = TIMESTAMP_MAX

    @property
    def has_used(self) -> bool:
        """Whether anything was used without a timestamp."""
        return bool(self._used)

    async def draw(self) -> None:
        """Fix the moment; `Conflict` where something used before is gone."""
        core = self._core
        timestamp = self._at
        if timestamp is None:
            timestamp = await core.moment(self._moment.freshness)
        elif self._moment.is_time and timestamp > core.calls.issued:
            timestamp = min(timestamp, await core.timestamps.read())
        else:
            await core.require_issued(timestamp)
        while self._at is None and timestamp < self.timestamp and not self.drawn:
            # Another read of the same transaction has meanwhile used what is newer.
            timestamp = await core.timestamps.read()
        # On the wire 0 stands for the latest. Nothing was ever committed at 1 either.
        timestamp = max(timestamp, 1)
        if self.drawn:
            # Another read of the same transaction was faster: one snapshot for both.
            return
        self.drawn = True
        self.timestamp = timestamp
        used, self._used = self._used, []
        if used and not core.cached.all_valid(used):
            raise _overtaken()

    def admits(self, entry: CachedKey | CachedScan) -> bool:
        """Whether an entry that may be served now serves this transaction; notes its use."""
        if self.drawn:
            return entry.valid_from <= self.timestamp
        if entry.expires or self._at is not None:
            return False
        core = self._core
        near = core.cached.near
        now_ns = core.calls.process.clock.boot_ns()
        if self._used and (near.losses != self._losses or now_ns >= self._until_ns):
            if not near.all_valid(self._used, now_ns):
                raise _overtaken()
            self._until_ns = min([one.lease.ends_ns for one in self._used])
        self._used.append(entry)
        self._losses = near.losses
        self._until_ns = min(self._until_ns, entry.lease.ends_ns)
        self.timestamp = max(self.timestamp, entry.valid_from)
        return True


def _overtaken() -> Conflict:
    return Conflict(
        "a cached value this attempt had used was overwritten, or its lease ended, before the "
        "attempt was done: run it again"
    )
