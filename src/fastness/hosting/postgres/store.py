"""A store in PostgreSQL, as a node asks it: a `RemoteStore`, and what waits for its lanes.

::

    apply                 --> lanes of batches     all that waits, in one statement
    read                  --> lanes of reads       point reads that wait, in one statement
    changes               --> lanes of searches
    open_range            --> lanes of questions   what waits, in one statement
    settle, marks, size   --> lanes of questions
    prune                 --> one lane

What arrives in one turn of the loop, or while all lanes are busy, goes off together. A lane that
waits for the lock of one range's row keeps only those from their answer that went off with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NamedTuple, Self

from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import DatabaseClosed, DiskFull, FastnessError, Overloaded, StoreUnavailable
from fastness.hosting.postgres import moving, opening, preparing, reading
from fastness.hosting.postgres.applying import BatchLanes
from fastness.hosting.postgres.batches import range_row, schema_differs
from fastness.hosting.postgres.failures import translated
from fastness.hosting.postgres.lanes import Lane, Lanes
from fastness.hosting.postgres.opening import Opening
from fastness.hosting.postgres.places import PRUNE, Places
from fastness.hosting.postgres.primary import Primary
from fastness.hosting.remote import (
    StoreAnswer,
    StoreDrop,
    StorePortion,
    StorePrune,
    StoreRead,
    StoreSelection,
)
from fastness.limits import Limits
from fastness.runtime.process import Process
from fastness.storage.contract import Batch, Change, Load, RangeState, StoreSize
from fastness.storage.layout import RangeRow
from fastness.storage.range_rows import held, loaded, settled

QUESTION_LANES = 4
"""For opening and settling ranges: after a failover a node does so for all of its ranges."""
SEARCH_LANES = 1
CLOSE_S = 5.0
"""How long closing waits for what is under way."""

_SETTLE = "SELECT * FROM fastness.settle($1, $2, $3)"
_RECORD = """
WITH given AS (SELECT * FROM unnest($1::text[], $2::bytea[]) AS g(name, value)), removed AS (
    DELETE FROM fastness.marks m USING given g WHERE g.value IS NULL AND m.name = g.name
)
INSERT INTO fastness.marks (name, value) SELECT g.name, g.value FROM given g
WHERE g.value IS NOT NULL ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_MARK = "SELECT value FROM fastness.marks WHERE name = $1"
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 AS bytes,
    max(greatest(c.reltuples, 0)) FILTER (WHERE c.relname = 'newest')::int8 AS newest,
    max(greatest(c.reltuples, 0)) FILTER (WHERE c.relname = 'history')::int8 AS history,
    max(greatest(c.reltuples, 0)) FILTER (WHERE c.relname = 'log')::int8 AS log
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE s.nspname = 'fastness' AND c.relkind = 'r'
"""

Done = Callable[[Any], None]

_log = logging.getLogger("fastness.hosting.postgres")


class _Ask(NamedTuple):
    """A question that one lane carries out by itself."""

    what: str
    carry_out: Callable[[Lane], Coroutine[Any, Any, Any]]
    done: Done


_Job = _Ask | Opening
"""What is not a batch or a read."""


class _Read(NamedTuple):
    """A request to read, and who waits for its answer."""

    request: StoreRead
    done: Done


class PostgresStore:
    """See the module's page. Made by `open`, used on one running loop."""

    def __init__(self, process: Process, primary: Primary, limits: Limits) -> None:
        """Use `open`."""
        self._primary = primary
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._places = Places()
        self._acknowledged: dict[int, int] = {}
        """By range, the highest number of a batch that is known to be decided."""
        self._closing = False
        patience_s = limits.store_wait_ms / 1_000
        self._batches = BatchLanes(
            process, primary, limits, applied=self._applied, failed=self._failed
        )
        self._reads = Lanes[_Read](
            process,
            primary,
            name="reads",
            count=limits.store_readers,
            patience_s=patience_s,
            take=_take_reads,
            carry_out=self._read,
            refuse=_refuse,
        )

        def asking(name: str, count: int) -> Lanes[_Job]:
            return Lanes[_Job](
                process,
                primary,
                name=name,
                count=count,
                patience_s=patience_s,
                take=_take_question,
                carry_out=self._answer,
                refuse=_refuse,
            )

        self._questions = asking("questions", QUESTION_LANES)
        self._searches = asking("searches", SEARCH_LANES)
        self._steps = asking("pruning", 1)

    @classmethod
    async def open(
        cls,
        process: Process,
        dsn: str,
        *,
        cluster_id: str,
        allow_unreplicated: bool = False,
        limits: Limits | None = None,
    ) -> Self:
        """Open the store at a DSN, which was prepared for this cluster.

        Raises `InvalidUrl` or `InvalidOption` for a DSN, or a server's setting, that will not do,
        `ForeignStore` for a store of others, `Unreachable` where no host is a primary. A commit
        waits for a synchronous standby unless `allow_unreplicated`.
        """
        primary = Primary(
            process, dsn, cluster_id=cluster_id, allow_unreplicated=allow_unreplicated
        )
        await primary.reach()
        return cls(process, primary, limits or Limits())

    @classmethod
    async def prepare(cls, dsn: str, cluster_id: str, *, allow_unreplicated: bool = False) -> str:
        """Make a database the store of a cluster, or bring its schema up to date.

        The store's id. May be repeated; an interrupted one leaves nothing. `ForeignStore` where
        another cluster has it, and as `open` for what will not do.
        """
        identity = await preparing.prepare_store(
            dsn, cluster_id, allow_unreplicated=allow_unreplicated
        )
        return identity.store_id

    async def close(self) -> None:
        """Finish what was asked for, as far as it soon can be, and hang up. Idempotent."""
        self._closing = True
        lanes = (self._batches, self._reads, self._questions, self._searches, self._steps)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                for one in lanes:
                    await one.drained()
        for one in lanes:
            await one.close(_closed())
        await self._primary.close()

    # ------------------------------------------------------------- the contract

    @property
    def identity(self) -> str:
        """The random id this store was prepared with (32 hexadecimal digits)."""
        identity = self._primary.identity
        return "" if identity is None else identity.store_id

    @property
    def refusal(self) -> FastnessError | None:
        """Why no write succeeds for now, as far as is known."""
        return self._primary.refusal

    @property
    def drops(self) -> int:
        """How often a primary was in doubt, and all connections to it were dropped."""
        return self._primary.drops

    def open_range(
        self, range_id: int, epoch: int, done: Callable[[RangeState | FastnessError], None]
    ) -> None:
        """Open a range at `epoch`, durably, and load its records."""
        if self._closing:
            self._loop.call_soon(done, _closed())
        else:
            self._questions.put(Opening(range_id, epoch, done))

    def apply(self, batch: Batch, done: Callable[[FastnessError | None], None]) -> None:
        """Write a batch atomically and durably. `Unreachable` means in doubt: ask `settle`."""
        if self._closing:
            self._loop.call_soon(done, _closed())
        else:
            self._batches.put(batch, done)

    def settle(
        self, range_id: int, epoch: int, number: int, done: Callable[[bool | FastnessError], None]
    ) -> None:
        """Whether that batch was applied; if not, it never will be (its number is used up)."""

        async def carry_out(lane: Lane) -> bool:
            rows = await lane.fetch(_SETTLE, range_id, epoch, number)
            before = range_row(rows[0]) if rows else RangeRow()
            row = settled(before, range_id, epoch, number)
            self._note(range_id, row.batch_number)
            return number != row.skipped

        self._ask(self._questions, f"settling batch {number} of range {range_id}", carry_out, done)

    def read_at_once(self, _request: StoreRead) -> None:
        """Never: it is far away."""

    def read(self, request: StoreRead, done: Callable[[StoreAnswer | FastnessError], None]) -> None:
        """Read as of `request.at`."""
        if self._closing:
            self._loop.call_soon(done, _closed())
        elif self._reads.waiting >= self._limits.reads_queued:
            self._loop.call_soon(
                done,
                Overloaded(f"{self._reads.waiting} reads wait for the store: try again later"),
            )
        else:
            self._reads.put(_Read(request, done))

    def prune(self, request: StorePrune, done: Callable[[int | FastnessError], None]) -> None:
        """Prune one step; how many rows went."""

        async def carry_out(lane: Lane) -> int:
            rows = await lane.fetch(PRUNE, *self._places.arguments(request))
            removed: int = rows[0]["done"]
            if removed < 0:
                row = RangeRow() if rows[0]["epoch"] is None else range_row(rows[0])
                held(row, request.range_id, request.epoch, "pruning it")
            self._places.stepped(request.range_id, rows[0])
            return max(removed, 0)

        self._ask(self._steps, f"pruning range {request.range_id}", carry_out, done)

    def versions(
        self, request: StoreSelection, done: Callable[[StorePortion | FastnessError], None]
    ) -> None:
        """The versions of some keys, to be carried to another store."""

        async def carry_out(lane: Lane) -> StorePortion:
            rows = await lane.fetch(moving.VERSIONS, *moving.versions_arguments(request))
            return moving.portion(request, rows)

        self._ask(self._searches, f"reading versions of range {request.range_id}", carry_out, done)

    def load(self, load: Load, done: Callable[[FastnessError | None], None]) -> None:
        """Write versions to a range being built, durably; as `apply`, and settled alike."""

        async def carry_out(lane: Lane) -> None:
            row = (await lane.fetch(moving.LOAD, *moving.load_arguments(load)))[0]
            if not row["good"]:
                loaded(RangeRow() if row["epoch"] is None else range_row(row), load)
                raise schema_differs(f"step {load.number} of building range {load.range_id}")
            self._note(load.range_id, load.number)

        self._ask(self._questions, f"building range {load.range_id}", carry_out, done)

    def drop(self, request: StoreDrop, done: Callable[[int | FastnessError], None]) -> None:
        """Remove the next rows of an interval; how many went, 0 once nothing is left."""

        async def carry_out(lane: Lane) -> int:
            asked = (request.range_id, request.epoch, *request.interval, request.limit)
            row = (await lane.fetch(moving.DROP, *asked))[0]
            if row["done"] < 0:
                known = RangeRow() if row["epoch"] is None else range_row(row)
                held(known, request.range_id, request.epoch, "dropping rows")
            self._places.forget(request.range_id)
            return max(0, int(row["done"]))

        self._ask(self._steps, f"dropping rows of range {request.range_id}", carry_out, done)

    def changes(
        self,
        after: Timestamp,
        up_to: Timestamp,
        limit: int,
        done: Callable[[list[Change] | FastnessError], None],
    ) -> None:
        """The first `limit` commits in (after, up_to], in commit order."""

        async def carry_out(lane: Lane) -> list[Change]:
            rows = await lane.fetch(
                reading.CHANGES, after, min(up_to, TIMESTAMP_MAX), max(limit, 0)
            )
            return reading.changes(after, rows)

        self._ask(self._searches, "asking for changes", carry_out, done)

    # ------------------------------------------------------ the store as a whole

    async def mark(self, name: str) -> bytes | None:
        """A mark of the store."""

        async def carry_out(lane: Lane) -> bytes | None:
            rows = await lane.fetch(_MARK, name)
            return rows[0]["value"] if rows else None

        found: bytes | None = await self._asked("reading a mark", carry_out)
        return found

    async def record(self, marks: dict[str, bytes | None]) -> None:
        """Write marks of the store, durably (`None` removes one)."""

        async def carry_out(lane: Lane) -> None:
            await lane.fetch(_RECORD, list(marks), list(marks.values()))

        await self._asked("writing marks", carry_out)

    async def size(self) -> StoreSize:
        """Bytes on the primary's disk, and estimated counts of rows."""

        async def carry_out(lane: Lane) -> StoreSize:
            row = (await lane.fetch(_SIZE))[0]
            return StoreSize(row["bytes"], row["newest"], row["history"], row["log"])

        found: StoreSize = await self._asked("asking for sizes", carry_out)
        return found

    # ------------------------------------------------------------- on the lanes

    def _ask(
        self,
        lanes: Lanes[_Job],
        what: str,
        carry_out: Callable[[Lane], Coroutine[Any, Any, Any]],
        done: Done,
    ) -> None:
        if self._closing:
            self._loop.call_soon(done, _closed())
        else:
            lanes.put(_Ask(what, carry_out, done))

    async def _asked(self, what: str, carry_out: Callable[[Lane], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401 - whatever is asked for
        answered: asyncio.Future[Any] = self._loop.create_future()

        def done(answer: object) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._ask(self._questions, what, carry_out, done)
        answer = await answered
        if isinstance(answer, FastnessError):
            raise answer
        return answer

    async def _answer(self, lane: Lane, group: list[_Job]) -> None:
        openings = [job for job in group if isinstance(job, Opening)]
        if openings:
            await self._open(lane, openings)
        for job in group:
            if isinstance(job, _Ask):
                await self._ask_one(lane, job)

    async def _open(self, lane: Lane, group: list[Opening]) -> None:
        try:
            rows = opening.rows_of(await lane.fetch(opening.OPEN, *opening.arguments(group)))
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            for one in group:
                self._loop.call_soon(one.done, self._failed(error, one.what))
            return
        for one in group:
            answer: RangeState | FastnessError
            try:
                answer = opening.state_of(one, rows[one.range_id])
            except Exception as error:  # noqa: BLE001 - as above
                answer = self._failed(error, one.what)
            else:
                self._places.forget(one.range_id)
                self._note(one.range_id, answer.batch_number)
            self._loop.call_soon(one.done, answer)

    async def _ask_one(self, lane: Lane, job: _Ask) -> None:
        try:
            answer = await job.carry_out(lane)
        except Exception as error:  # noqa: BLE001 - its asker must hear of it, whatever it is
            answer = self._failed(error, job.what)
        self._loop.call_soon(job.done, answer)

    async def _read(self, lane: Lane, group: list[_Read]) -> None:
        requests = [job.request for job in group]
        known = [self._acknowledged.get(request.range_id, -1) for request in requests]
        generation = self._primary.generation
        try:
            asked = reading.question(requests)
            answers = reading.answers(requests, await lane.fetch(asked.statement, *asked.args))
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            for job in group:
                self._loop.call_soon(job.done, self._failed(error, "reading"))
            return
        for job, number, answer in zip(group, known, answers, strict=True):
            if answer.number < number:
                self._primary.drop(generation, f"it answers from before batch {number}")
            self._loop.call_soon(job.done, answer)

    def _applied(self, batch: Batch) -> None:
        self._places.applied(batch)
        self._note(batch.range_id, batch.number)

    def _note(self, range_id: int, number: int) -> None:
        self._acknowledged[range_id] = max(number, self._acknowledged.get(range_id, -1))

    def _failed(self, error: Exception, doing: str) -> FastnessError:
        """An error as whoever asked is told of it; a mistake of the program is logged."""
        told = translated(error, doing)
        if isinstance(told, DiskFull):
            self._primary.refusal = told
        if isinstance(told, FastnessError):
            return told
        _log.error("%s met a mistake of the program", doing, exc_info=error)
        mistake = StoreUnavailable(f"{doing}: the store could not be asked: {told!r}")
        mistake.__cause__ = told
        return mistake


def _take_reads(waiting: deque[_Read]) -> list[_Read]:
    """Point reads together, and not too many keys; a scan alone."""
    taken = [waiting.popleft()]
    keys = len(taken[0].request.keys)
    while taken[0].request.scan is None and waiting and waiting[0].request.scan is None:
        keys += len(waiting[0].request.keys)
        if keys > reading.GATHERED_KEYS_MAX:
            break
        taken.append(waiting.popleft())
    return taken


def _take_question(waiting: deque[_Job]) -> list[_Job]:
    """One, or ranges to be opened together."""
    first = waiting.popleft()
    return [*opening.taken(first, waiting)] if isinstance(first, Opening) else [first]


def _refuse(job: _Job | _Read, error: FastnessError) -> None:
    asyncio.get_running_loop().call_soon(job.done, error)


def _closed() -> DatabaseClosed:
    return DatabaseClosed("the store was closed: open it again")
