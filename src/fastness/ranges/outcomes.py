"""What became of transactions, remembered for a window: the memory behind exactly-once. Pure.

A range keeps the outcome of every transaction that ended in it, in rows written with the very
batch that ended them. Rows older than the window are forgotten; before that the *outcome horizon*
rises over the births they hold, so that an id nobody knows is either new (born above the
horizon) or may be one of the forgotten (CONSISTENCY, section 1.5).

There are as many as commits in the window, so little is kept of each: the head of its id (birth
and nonce, which no two honest ids share) leads to its row, which is held as it was written and is
read again by whoever asks for an outcome, which is rare.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from fastness.encoding.timestamps import Timestamp
from fastness.ranges.identity import TransactionId, birth_of, head_of
from fastness.ranges.shape import (
    HORIZON_RECORD,
    OUTCOMES,
    Outcome,
    Records,
    decode_outcomes,
    encode_timestamp,
    horizon_of,
)


class OutcomeTable:
    """Outcomes by id, in the rows they were written in."""

    __slots__ = ("_by_age", "_row_of", "_rows", "horizon")

    def __init__(self, records: Records) -> None:
        self.horizon: Timestamp = horizon_of(records)
        """Of ids born at or below it nothing can be said unless they are known."""
        self._row_of: dict[int, bytes] = {}
        """The name of the row, by the head of an id."""
        self._rows: dict[bytes, tuple[Timestamp, bytes]] = {}
        """By name: the newest birth in it, and the row as it was written."""
        self._by_age: list[tuple[Timestamp, bytes]] = []
        """A heap of the rows by their newest birth; those that were forgotten leave it late."""
        for name, data in sorted(records.items()):
            if name[:1] == OUTCOMES:
                self.add(name, decode_outcomes(data), data)

    def __len__(self) -> int:
        return len(self._row_of)

    def get(self, identity: TransactionId) -> Timestamp | None:
        """When it committed, 0 if it aborted, `None` if nothing is known."""
        name = self._row_of.get(head_of(identity))
        if name is None:
            return None
        return dict(decode_outcomes(self._rows[name][1])).get(identity)

    def forgotten(self, identity: TransactionId) -> bool:
        """Whether it is not known but may have ended before the horizon."""
        return birth_of(identity) <= self.horizon and self.get(identity) is None

    def add(self, name: bytes, outcomes: Iterable[Outcome], data: bytes) -> None:
        """Remember a row of outcomes that is durable under `name`, as `data`."""
        newest = 0
        for identity, _timestamp in outcomes:
            # Two children that merge again hold the same outcomes twice: one row of them will do.
            self._row_of[head_of(identity)] = name
            newest = max(newest, birth_of(identity))
        self._rows[name] = (newest, data)
        heappush(self._by_age, (newest, name))

    def forgettable(self, horizon: Timestamp, limit: int) -> list[bytes]:
        """Rows all of whose transactions were born at or below `horizon`, at most `limit`.

        The oldest come first, and the others are not looked at: there are as many as batches in
        `outcome_ms`.
        """
        by_age, found = self._by_age, list[tuple[Timestamp, bytes]]()
        while by_age and by_age[0][0] <= horizon and len(found) < limit:
            newest, name = heappop(by_age)
            row = self._rows.get(name)
            if row is not None and row[0] == newest:
                found.append((newest, name))
        # They stay until they are gone durably.
        for one in found:
            heappush(by_age, one)
        return [name for _newest, name in found]

    def forgetting(self, names: list[bytes], horizon: Timestamp) -> dict[bytes, bytes | None]:
        """The rows to write so that these are forgotten, the horizon raised in the same write.

        It never sinks, even where a new leaseholder knows less of the oracle's time.
        """
        rows: dict[bytes, bytes | None] = dict.fromkeys(names)
        rows[HORIZON_RECORD] = encode_timestamp(max(horizon, self.horizon))
        return rows

    def forget(self, names: list[bytes], horizon: Timestamp) -> None:
        """These rows are gone, durably."""
        self.horizon = max(self.horizon, horizon)
        for name in names:
            row = self._rows.pop(name, None)
            for identity, _timestamp in decode_outcomes(row[1]) if row is not None else ():
                head = head_of(identity)
                if self._row_of.get(head) == name:
                    del self._row_of[head]
