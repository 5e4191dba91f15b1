"""A leaseholder's dealings with its store: batches that may be in doubt, reads that may be old.

::

    apply --> durable                         leaseholder.applied
          --> fenced                          the leaseholder is retired
          --> batches before it are missing   alarm; the leaseholder is retired
          --> anything else: in doubt         settle, again and again:
                --> it was applied            leaseholder.applied
                --> it never will be          leaseholder.lost
                --> fenced, or some missing   retired: nobody knows what became of the batch

A read is answered with the number of the last batch the store had applied. One below what was
acknowledged when the read was sent comes from a demoted primary: it is dropped and asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastness.encoding.timestamps import Timestamp
from fastness.errors import CommitsMissing, FastnessError, Fenced, Unreachable
from fastness.hosting.portions import Room
from fastness.hosting.remote import RemoteStore, StoreAnswer, StoreRead
from fastness.node.coordination import RETRY_MS
from fastness.node.counts import Counts
from fastness.ranges.leaseholder import Leaseholder
from fastness.ranges.ports import FoundAtOnce
from fastness.ranges.requests import Scan
from fastness.runtime.process import Process
from fastness.storage.contract import Batch, RangeState

STALE_READS_MAX = 10
"""Tries of one read at a primary that was demoted, before it is given up."""


class StorePort:
    """See the module's page."""

    __slots__ = (
        "_counts",
        "_epoch",
        "_fenced",
        "_lease_left_ms",
        "_leaseholder",
        "_lost",
        "_process",
        "_range_id",
        "_room",
        "_store",
        "acknowledged",
        "closed",
    )

    def __init__(
        self,
        process: Process,
        store: RemoteStore,
        state: RangeState,
        counts: Counts,
        *,
        fenced: Callable[[CommitsMissing | Fenced], None],
        lost: Callable[[int], None],
        lease_left_ms: Callable[[], float],
        room: Room,
    ) -> None:
        self.acknowledged = state.batch_number
        """The number of the last batch known to be decided."""
        self.closed = False
        self._process = process
        self._store = store
        self._range_id = state.range_id
        self._room = room
        self._epoch = state.epoch
        self._counts = counts
        self._fenced = fenced
        self._lost = lost
        self._lease_left_ms = lease_left_ms
        self._leaseholder: Leaseholder | None = None

    def attach(self, leaseholder: Leaseholder) -> None:
        """Whom to tell."""
        self._leaseholder = leaseholder

    def close(self) -> None:
        """Ask the store nothing more, and hear no answer."""
        self.closed = True
        self._leaseholder = None

    def apply(self, batch: Batch) -> None:
        """Write a batch; see the module's page."""
        if not self.closed:
            self._store.apply(batch, partial(self._applied, batch.number))

    def _applied(self, number: int, error: FastnessError | None) -> None:
        if self._leaseholder is None:
            return
        if error is None:
            self._durable(number)
        elif isinstance(error, CommitsMissing | Fenced):
            self._fenced(error)
        else:
            self._counts.batches_in_doubt += 1
            self._settle(number)

    def _durable(self, number: int) -> None:
        self.acknowledged = number
        self._counts.batches += 1
        if self._leaseholder is not None:
            self._leaseholder.applied(number)

    def _settle(self, number: int) -> None:
        if not self.closed:
            self._store.settle(self._range_id, self._epoch, number, partial(self._settled, number))

    def _settled(self, number: int, answer: bool | FastnessError) -> None:
        if self._leaseholder is None:
            return
        if answer is True:
            self._durable(number)
        elif answer is False:
            # The question used the number up, durably: reads must not be older than that.
            self.acknowledged = number
            self._counts.batches_lost += 1
            self._leaseholder.lost(number)
            self._lost(number)
        elif isinstance(answer, CommitsMissing | Fenced):
            self._fenced(answer)
        else:
            self._process.call_later(RETRY_MS, self._settle, number)

    @property
    def refusal(self) -> FastnessError | None:
        """Why the store takes no writes for now."""
        return self._store.refusal

    def read_at_once(
        self, keys: list[bytes], scan: Scan | None, at: Timestamp
    ) -> FoundAtOnce | FastnessError | None:
        """What the store holds, if it can say so without waiting."""
        try:
            request = StoreRead(self._range_id, keys, at, scan, self._room)
            answer = self._store.read_at_once(request)
        except FastnessError as error:
            return error
        if answer is None or answer.number < self.acknowledged:
            return None
        return FoundAtOnce(answer.cells, answer.entries, answer.prune_horizon, answer.cut)

    def read(self, token: int, keys: list[bytes], scan: Scan | None, at: Timestamp) -> None:
        """Read the store, while the lease runs."""
        if not self.closed:
            self._read(token, StoreRead(self._range_id, keys, at, scan), 1)

    def _read(self, token: int, request: StoreRead, tries: int) -> None:
        answered = partial(self._answered, token, request, self.acknowledged, tries)
        self._store.read(request, answered)

    def _answered(
        self,
        token: int,
        request: StoreRead,
        acknowledged: int,
        tries: int,
        answer: StoreAnswer | FastnessError,
    ) -> None:
        leaseholder = self._leaseholder
        if leaseholder is None:
            return
        if isinstance(answer, StoreAnswer):
            if answer.number >= acknowledged:
                leaseholder.read_done(token, answer.cells, answer.entries, answer.prune_horizon)
                return
            self._counts.stale_reads += 1
            self._process.call_later(RETRY_MS, self._read_again, token, request, tries)
        elif isinstance(answer, Fenced):
            self._fenced(answer)
        else:
            leaseholder.read_failed(token, answer)

    def _read_again(self, token: int, request: StoreRead, tries: int) -> None:
        if self._leaseholder is None:
            return
        # The lease was looked at when the first try started; this one starts now.
        if tries < STALE_READS_MAX and self._lease_left_ms() > 0:
            self._read(token, request, tries + 1)
        else:
            self._leaseholder.read_failed(
                token,
                Unreachable(
                    f"range {self._range_id}: the store answers from before batch "
                    f"{self.acknowledged}, as a demoted primary does: try again"
                ),
            )
