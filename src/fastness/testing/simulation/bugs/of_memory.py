"""Bugs of what a leaseholder remembers of a store far away.

Each function makes the buggy piece of the right one; `planting.py` says how it is put in place.
They can only show in the seeds whose nodes remember anything (`Scenario.remembered_bytes`).
"""

from __future__ import annotations

from typing import Any

from fastness.errors import Fenced
from fastness.hosting.remembering.home import Home, _Sent
from fastness.hosting.remembering.store import RememberingStore
from fastness.hosting.remembering.under_way import UnderWay
from fastness.hosting.remembering.versions import Versions
from fastness.testing.simulation.bugs.planting import always, plant


def _remembered_still(right: Any) -> Any:
    def remember(self: RememberingStore, state: Any) -> None:
        tenure = self._tenures.get(state.range_id)
        if tenure is None:
            right(self, state)
            return
        tenure.epoch, tenure.number = state.epoch, state.batch_number
        for under_way in tenure.under_way.values():
            tenure.home.lost(under_way)
        tenure.under_way.clear()

    return remember


plant(
    "memory-outlives-its-lease",
    "5.3, 5.7",
    "a node that opens a range again believes what it remembers from before",
    (RememberingStore, "_forget", always(answer=None)),
    (RememberingStore, "_remember", _remembered_still),
)


def _remembered_when_sent(right: Any) -> Any:
    def send(self: Home, batch: Any) -> Any:
        under_way = right(self, batch)
        for commit in under_way.commits():
            self._write(commit)
        return under_way

    return send


plant(
    "remembered-before-durable",
    "5.7",
    "a batch counts in memory as soon as it is sent",
    (Home, "send", _remembered_when_sent),
    (UnderWay, "changes", always(answer=False)),
    (UnderWay, "changes_in", always(answer=False)),
)


def _absent_for_good(right: Any) -> Any:
    def overwrite(self: Home, key: bytes, at: int, cell: Any) -> None:
        versions = self.versions.get(key)
        if versions is None or versions.cell is not None:
            right(self, key, at, cell)

    return overwrite


plant(
    "absence-remembered-for-good",
    "5.7",
    "a key that was remembered as absent stays so whatever is written",
    (Home, "_overwrite", _absent_for_good),
)


def _newest_for_all(right: Any) -> Any:
    def shrink(self: Versions) -> int:
        if self.older:
            self.begin = self.older[0][0]
        freed: int = right(self)
        return freed

    return shrink


plant(
    "eviction-forgets-older-versions",
    "5.7",
    "where an older version is evicted, its readers are told the newest",
    (Versions, "shrink", _newest_for_all),
)
plant(
    "late-answers-remembered",
    "5.7",
    "what a read found is remembered although a batch overtook it",
    (_Sent, "key", always(answer=False)),
    (_Sent, "interval", always(answer=False)),
)


def _doubt_is_loss(right: Any) -> Any:
    def apply(self: RememberingStore, batch: Any, done: Any) -> None:
        tenure = self._tenures.get(batch.range_id)

        def applied(error: Any) -> None:
            if tenure is not None and error is not None and not isinstance(error, Fenced):
                self._decided(tenure, batch.number, took_place=False)
            done(error)

        right(self, batch, applied)

    return apply


plant(
    "doubt-remembered-as-loss",
    "5.6, 5.7",
    "a batch whose answer was lost is forgotten, though the store may have it",
    (RememberingStore, "apply", _doubt_is_loss),
)


def _half_remembered(_right: Any) -> Any:
    def absorbed(self: RememberingStore, _tenure: Any, batch: Any) -> None:
        for range_id, _epoch in batch.absorbs:
            self._tenures.pop(range_id, None)

    return absorbed


plant(
    "merge-remembers-one-half",
    "3.7, 5.7",
    "the union of a merge goes on with what its left half remembered",
    (RememberingStore, "_absorbed", _half_remembered),
)
