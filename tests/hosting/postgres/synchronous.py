"""A PostgreSQL store behind the `Store` contract, so that its conformance suites can be run on it.

A loop in a thread of its own carries the calls out. What a node never asks is read straight from
the tables, and verified by the checker of other stores: the rows are laid out as theirs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import DatabaseClosed, FastnessError
from fastness.hosting.postgres import PostgresStore
from fastness.hosting.remote import (
    StoreAnswer,
    StoreDrop,
    StorePortion,
    StorePrune,
    StoreRead,
    StoreSelection,
)
from fastness.invariants import InvariantViolation
from fastness.ranges.requests import Scan
from fastness.runtime.local import LocalNetwork
from fastness.storage import Batch, Faults, Item, MemoryStore, RangeState, Store, no_faults
from fastness.storage.cells import expiring, plain
from fastness.storage.contract import Change, Damage, Load, Portion, Selection, StoreSize
from fastness.storage.layout import (
    Put,
    RangeRow,
    Table,
    expiry_row,
    history_row,
    log_row,
    log_value,
    mark_row,
    range_row,
    range_value,
    record_row,
)
from tests.hosting.postgres.reached import CLUSTER
from tests.storage.homes import Home


class SynchronousStore:
    """A `Store`; see the module's page."""

    def __init__(self, dsn: str) -> None:
        self.newest: Callable[[bytes], bytes | None] = self._newest
        self._dsn = dsn
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._run(self._open())

    async def _open(self) -> None:
        await PostgresStore.prepare(self._dsn, CLUSTER, allow_unreplicated=True)
        self._network = LocalNetwork()
        self._store = await PostgresStore.open(
            self._network.process("node"), self._dsn, cluster_id=CLUSTER, allow_unreplicated=True
        )
        self._tables = await asyncpg.connect(self._dsn)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _ask(self, request: Callable[..., None], *args: object) -> Any:  # noqa: ANN401 - as above
        self._check()

        async def ask() -> object:
            answered = self._loop.create_future()
            request(*args, answered.set_result)
            return await answered

        answer = self._run(ask())
        if isinstance(answer, FastnessError):
            raise answer.__cause__ if isinstance(answer.__cause__, InvariantViolation) else answer
        return answer

    def _query(self, statement: str, *args: object) -> list[Any]:
        self._check()
        rows: list[Any] = self._run(self._tables.fetch(statement, *args))
        return rows

    def _check(self) -> None:
        if self._closed:
            raise DatabaseClosed("closed")

    # What the store is asked.

    @property
    def identity(self) -> str:
        """The store's own."""
        return self._store.identity

    def open_range(self, range_id: int, epoch: int) -> RangeState:
        """See `Store`."""
        state: RangeState = self._ask(self._store.open_range, range_id, epoch)
        return state

    def settle(self, range_id: int, epoch: int, number: int) -> bool:
        """See `Store`."""
        applied: bool = self._ask(self._store.settle, range_id, epoch, number)
        return applied

    def apply(self, batch: Batch) -> None:
        """See `Store`."""
        self._ask(self._store.apply, batch)

    def sync(self) -> None:
        """Nothing: what was applied is durable."""
        self._check()

    def _newest(self, key: bytes, /) -> bytes | None:
        return self.get(key, TIMESTAMP_MAX)

    def get(self, key: bytes, at: Timestamp) -> bytes | None:
        """See `Store`."""
        return self.get_many([key], at)[0]

    def get_many(self, keys: Sequence[bytes], at: Timestamp) -> list[bytes | None]:
        """See `Store`."""
        return self._read(list(keys), at, None).cells

    def scan(
        self, interval: KeyInterval, *, at: Timestamp, limit: int, reverse: bool = False
    ) -> list[Item]:
        """See `Store`."""
        return self._read([], at, Scan(*interval, limit, reverse)).entries

    def scan_newest(
        self, interval: KeyInterval, *, limit: int, reverse: bool = False
    ) -> list[Item]:
        """See `Store`."""
        return self.scan(interval, at=TIMESTAMP_MAX, limit=limit, reverse=reverse)

    def _read(self, keys: list[bytes], at: Timestamp, scan: Scan | None) -> StoreAnswer:
        answer: StoreAnswer = self._ask(self._store.read, StoreRead(1, keys, at, scan))
        return answer

    def changes(self, after: Timestamp, up_to: Timestamp, limit: int) -> list[Change]:
        """See `Store`."""
        changes: list[Change] = self._ask(self._store.changes, after, up_to, limit)
        return changes

    def prune(
        self,
        range_id: int,
        interval: KeyInterval,
        horizon: Timestamp,
        limit: int,
        *,
        epoch: int | None = None,
    ) -> int:
        """See `Store`."""
        held = self.range_epoch(range_id) if epoch is None else epoch
        done: int = self._ask(
            self._store.prune,
            StorePrune(range_id, held, (interval.begin, interval.end), horizon, limit),
        )
        return done

    def versions(self, range_id: int, wanted: Selection) -> Portion:
        """See `Store`."""
        (begin, end), *rest = wanted
        found: StorePortion = self._ask(
            self._store.versions, StoreSelection(range_id, (begin, end), *rest)
        )
        return Portion(found.keys, found.rest)

    def load(self, load: Load) -> None:
        """See `Store`."""
        self._ask(self._store.load, load)

    def drop(self, range_id: int, epoch: int, interval: KeyInterval, limit: int) -> int:
        """See `Store`."""
        done: int = self._ask(
            self._store.drop, StoreDrop(range_id, epoch, (interval.begin, interval.end), limit)
        )
        return done

    def state(self, name: str) -> bytes | None:
        """See `Store`."""
        self._check()
        mark: bytes | None = self._run(self._store.mark(name))
        return mark

    def record(self, marks: dict[str, bytes | None]) -> None:
        """See `Store`."""
        self._check()
        self._run(self._store.record(marks))

    def size(self) -> StoreSize:
        """Bytes of the store's own, and counts that are no estimates."""
        self._check()
        told: StoreSize = self._run(self._store.size())
        newest, history, log = (
            self._query(f"SELECT count(*) FROM fastness.{table}")[0][0]  # noqa: S608 - our own
            for table in ("newest", "history", "log")
        )
        return StoreSize(told.bytes_on_disk, newest, history, log)

    def failure(self, error: Exception) -> FastnessError:
        """See `Store`."""
        assert isinstance(error, FastnessError)
        return error

    def checkpoint(self, target: Path) -> NoReturn:
        """Backups are PostgreSQL's own."""
        raise NotImplementedError(target)

    def close(self) -> None:
        """See `Store`."""
        if not self._closed:
            self._closed = True
            self._run(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        await self._tables.close()
        await self._store.close()
        await self._network.close()

    # What is read from the tables.

    @property
    def applied(self) -> Timestamp:
        """See `Store`."""
        return max((row.applied for row in self._ranges().values()), default=0)

    def range_epoch(self, range_id: int) -> int:
        """See `Store`."""
        return self._ranges().get(range_id, RangeRow()).epoch

    def range_number(self, range_id: int) -> int:
        """See `Store`."""
        answer: StoreAnswer = self._ask(self._store.read, StoreRead(range_id, [], 1))
        return answer.number

    def prune_horizon(self, range_id: int) -> Timestamp:
        """See `Store`."""
        answer: StoreAnswer = self._ask(self._store.read, StoreRead(range_id, [], 1))
        return answer.prune_horizon

    def range_records(self, range_id: int) -> dict[bytes, bytes]:
        """See `Store`."""
        rows = self._query(
            "SELECT coalesce(long_name, handle), value FROM fastness.records WHERE range_id = $1",
            range_id,
        )
        return dict(sorted(map(tuple, rows)))

    def verify(self, progress: Callable[[int], None] = lambda _done: None) -> list[Damage]:
        """Lay the rows out as other stores do, and have their checker look at them."""
        laid_out = MemoryStore()
        laid_out._tables.write(self._rows())  # noqa: SLF001 - as a store on disk would be found
        return laid_out.verify(progress)

    def _ranges(self) -> dict[int, RangeRow]:
        rows = self._query(
            "SELECT range_id, epoch, number, applied, prune_horizon, skipped, committed"
            " FROM fastness.ranges"
        )
        return {row[0]: RangeRow(*list(row)[1:]) for row in rows}

    def _rows(self) -> list[Put]:
        puts: list[Put] = [
            (Table.STATE, range_row(range_id), range_value(row))
            for range_id, row in self._ranges().items()
        ]
        puts.extend(
            (Table.STATE, record_row(range_id, name), value)
            for range_id, name, value in self._query(
                "SELECT range_id, coalesce(long_name, handle), value FROM fastness.records"
            )
        )
        puts.extend(
            (Table.STATE, mark_row(name), value)
            for name, value in self._query("SELECT name, value FROM fastness.marks")
        )
        for key, committed, expires, gone, value in self._query(
            "SELECT key || rest, committed, expires, gone, value FROM fastness.newest"
        ):
            puts.append((Table.NEWEST, key, _cell(committed, expires, value)))
            if gone is not None:
                puts.append((Table.EXPIRY, expiry_row(gone, key), b""))
        puts.extend(
            (Table.HISTORY, history_row(key, ended), _cell(committed, expires, value))
            for key, ended, committed, expires, value in self._query(
                "SELECT key || rest, ended, committed, expires, value FROM fastness.history"
            )
        )
        puts.extend(
            (
                Table.LOG,
                log_row(committed, range_id),
                log_value(fresh or [], replaced or [], deleted or []),
            )
            for committed, range_id, fresh, replaced, deleted in self._query(
                "SELECT committed, range_id, fresh, replaced, deleted FROM fastness.log"
            )
        )
        return puts


class PostgresHome(Home):
    """A database; a crash is that of the client."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.opened: list[SynchronousStore] = []

    def open(self, faults: Faults = no_faults) -> Store:
        """Open it; the steps of a store on disk do not exist here."""
        del faults
        self.opened.append(SynchronousStore(self.dsn))
        return self.opened[-1]

    def crash(self, faults: Faults = no_faults) -> Store:
        """What was acknowledged is durable, so nothing is lost."""
        self.close()
        return self.open(faults)

    def close(self) -> None:
        """Close whatever a test left open."""
        for store in self.opened:
            store.close()


def _cell(committed: Timestamp, expires: Timestamp | None, value: bytes) -> bytes:
    return plain(committed, value) if expires is None else expiring(committed, expires, value)
