"""Reading records: by key, by index, counted, explained, followed.

The lower half of the operations on records; `operations` adds the writes. Every read is a
key-value read of the same transaction, validated at the commit unless `snapshot=True`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, TypeVar

from fastness.encoding.counters import decode as decode_counter
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Conflict, RecordNotFound, StoreDamaged
from fastness.model._async.tables import next_records
from fastness.model.declarations import Record
from fastness.model.intervals import UNBOUNDED, Bounds
from fastness.model.layout import AFTER, RECORDS, SCHEMA_VERSION_KEY
from fastness.model.listing import Explanation, Listing
from fastness.model.paging import next_token, require_limit, require_readable, rest_of_scan
from fastness.model.parts import IndexOf, KeyValue, ReferenceOf, TotalOf
from fastness.model.plans import IndexPlan
from fastness.model.schema import Schema
from fastness.transactions import AsyncKeyValueTransaction, Engine

R = TypeVar("R", bound=Record)
T = TypeVar("T", bound=Record)

NO_SCHEMA = Schema()
CONFIRMED_FOR_READS = 1
CONFIRMED_FOR_WRITES = 2
_COUNT_PAGE = 10_000
_FORWARD = False


class AsyncTypedReads(AsyncKeyValueTransaction):
    """Reads of records in a transaction.

    `schema` is the database's at the time the transaction begins. Operations on classes it
    does not hold raise `SchemaError`; when the stored schema has changed meanwhile, the
    first write or query raises `Conflict`, and the retry takes the new one.
    """

    __slots__ = ("_schema_confirmed", "_stamps", "schema")

    def __init__(
        self,
        engine: Engine,
        *,
        schema: Schema = NO_SCHEMA,
        at: Timestamp | None = None,
        read_only: bool = False,
        priority: tuple[Timestamp, bytes] | None = None,
    ) -> None:
        """Begin, as the key-value transaction does."""
        super().__init__(engine, at=at, read_only=read_only, priority=priority)
        self.schema = schema
        self._schema_confirmed = 0
        self._stamps = 0

    async def fetch(self, kind: type[R], /, *key: KeyValue, snapshot: bool = False) -> R | None:
        """The record with this key, `None` if there is none."""
        plan = self.schema.plan(kind)
        record_key = plan.key(key)
        raw = await self.unchecked_get(record_key, snapshot=snapshot)
        return None if raw is None else plan.read(record_key, raw)

    async def require(self, kind: type[R], /, *key: KeyValue, snapshot: bool = False) -> R:
        """The record with this key; `RecordNotFound` if there is none."""
        record = await self.fetch(kind, *key, snapshot=snapshot)
        if record is None:
            raise RecordNotFound(f"{self.schema.plan(kind).shown(key)} does not exist")
        return record

    async def fetch_many(
        self,
        kind: type[R],
        keys: Iterable[KeyValue | tuple[KeyValue, ...]],
        *,
        snapshot: bool = False,
    ) -> list[R | None]:
        """The record of each key in the order asked, `None` where there is none."""
        plan = self.schema.plan(kind)
        wanted = [plan.key(key if isinstance(key, tuple) else (key,)) for key in keys]
        found = await self.unchecked_get_many(wanted, snapshot=snapshot)
        return [
            None if raw is None else plan.read(key, raw)
            for key, raw in zip(wanted, found, strict=True)
        ]

    async def fetch_by(
        self, index: IndexOf[R], /, *columns: KeyValue | None, snapshot: bool = False
    ) -> R | None:
        """The one record with these values in a unique index, `None` if there is none."""
        plan = await self._index(index)
        entry = plan.unique_key(columns)
        value = await self.unchecked_get(entry, snapshot=snapshot)
        if value is None:
            return None
        found: R
        if plan.clustered:
            found = plan.kind.read(entry, value)
        else:
            (found,) = await self._records_of(plan, [(entry, value)], snapshot=snapshot)
        return found

    async def query(  # noqa: PLR0913 - what a query may say
        self,
        index: IndexOf[R],
        /,
        *prefix: KeyValue | None,
        at_least: KeyValue | None = None,
        above: KeyValue | None = None,
        at_most: KeyValue | None = None,
        below: KeyValue | None = None,
        starting_with: str | bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
        continuation: str | None = None,
        snapshot: bool = False,
    ) -> Listing[R]:
        """One page of the records whose leading index columns are `prefix`, in index order.

        Bounds apply to the next column, by value: `at_least` <= value, `above` < value,
        `at_most`, `below`; `starting_with` for str and bytes. Bounds admit no `None`.
        `limit` is `limits.page_entries` unless given.
        """
        plan = await self._index(index)
        interval = plan.interval(prefix, Bounds(at_least, above, at_most, below, starting_with))
        limit = require_limit(limit, plan.kind.limits)
        rest = rest_of_scan(interval, continuation, reverse=reverse)
        entries, more = await self.unchecked_scan(
            rest.begin, rest.end, limit, reverse, snapshot=snapshot
        )
        token = next_token(interval, entries[-1][0], reverse=reverse) if more else None
        return Listing(await self._records_of(plan, entries, snapshot=snapshot), token)

    async def query_all(
        self,
        index: IndexOf[R],
        /,
        *prefix: KeyValue | None,
        at_least: KeyValue | None = None,
        above: KeyValue | None = None,
        at_most: KeyValue | None = None,
        below: KeyValue | None = None,
        starting_with: str | bytes | None = None,
        reverse: bool = False,
        snapshot: bool = False,
    ) -> AsyncIterator[R]:
        """Every record that `query` would list, page after page."""
        continuation: str | None = None
        while True:
            page = await self.query(
                index,
                *prefix,
                at_least=at_least,
                above=above,
                at_most=at_most,
                below=below,
                starting_with=starting_with,
                reverse=reverse,
                continuation=continuation,
                snapshot=snapshot,
            )
            for record in page.items:
                yield record
            continuation = page.continuation
            if continuation is None:
                return

    async def every(
        self,
        kind: type[R],
        *,
        limit: int | None = None,
        continuation: str | None = None,
        snapshot: bool = False,
    ) -> Listing[R]:
        """One page of all records of a kind, through all partitions, in the order stored."""
        plan = self.schema.plan(kind)
        limit = require_limit(limit, plan.limits)
        area = KeyInterval(plan.place.head, plan.place.head + AFTER)
        rest = rest_of_scan(area, continuation, reverse=False)
        entries, position = await next_records(
            self, plan.place, rest.begin, limit, snapshot=snapshot
        )
        token = None if position is None else next_token(area, position, reverse=False)
        return Listing(plan.read_page(entries), token)

    async def count(
        self,
        index: IndexOf[R],
        /,
        *prefix: KeyValue | None,
        at_least: KeyValue | None = None,
        above: KeyValue | None = None,
        at_most: KeyValue | None = None,
        below: KeyValue | None = None,
        starting_with: str | bytes | None = None,
        snapshot: bool = False,
    ) -> int:
        """How many index entries `query` would list.

        From one counter where a `Count` is declared for exactly the fields of `prefix` (and
        there are no bounds), else by reading the entries.
        """
        plan = await self._index(index)
        bounds = Bounds(at_least, above, at_most, below, starting_with)
        if bounds == UNBOUNDED:
            total = plan.counter(len(prefix), self.read_timestamp)
            if total is not None:
                raw = await self.unchecked_get(total.key(prefix), snapshot=snapshot)
                return 0 if raw is None else decode_counter(raw)
        begin, end = plan.interval(prefix, bounds)
        counted = 0
        more = True
        while more:
            entries, more = await self.unchecked_scan(
                begin, end, _COUNT_PAGE, _FORWARD, snapshot=snapshot
            )
            counted += len(entries)
            if more:
                begin = entries[-1][0] + b"\x00"
        return counted

    async def total(
        self, total: TotalOf[R], /, *group: KeyValue | None, snapshot: bool = False
    ) -> int:
        """A maintained `Count` or `Sum` of one group, 0 for a group without records.

        Writers do not conflict with each other on it, but with a transaction that reads it;
        `snapshot=True` reads it without.
        """
        plan = self.schema.total(total)
        if self._schema_confirmed < CONFIRMED_FOR_READS:
            await self._confirm_schema(writing=False)
        require_readable(plan.name, plan.stored, self.read_timestamp)
        raw = await self.unchecked_get(plan.key(group), snapshot=snapshot)
        return 0 if raw is None else decode_counter(raw)

    async def explain(
        self,
        index: IndexOf[R],
        /,
        *prefix: KeyValue | None,
        at_least: KeyValue | None = None,
        above: KeyValue | None = None,
        at_most: KeyValue | None = None,
        below: KeyValue | None = None,
        starting_with: str | bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Explanation:
        """Run the first page of a query without conflicts, and tell what it used and read."""
        plan = await self._index(index)
        bounds = Bounds(at_least, above, at_most, below, starting_with)
        interval = plan.interval(prefix, bounds)
        limit = require_limit(limit, plan.kind.limits)
        entries, more = await self.unchecked_scan(
            interval.begin, interval.end, limit, reverse, snapshot=True
        )
        size = sum(len(key) + len(value) for key, value in entries)
        found: list[bytes | None] = []
        if not plan.clustered:
            keys = [RECORDS + value for _key, value in entries]
            found = await self.unchecked_get_many(keys, snapshot=True)
            size += sum(map(len, keys)) + sum(len(raw or b"") for raw in found)
        counter = None if bounds != UNBOUNDED else plan.counter(len(prefix), self.read_timestamp)
        return Explanation(
            index=plan.name,
            columns=tuple(column.field for column in plan.columns),
            given=len(prefix),
            bounded=bounds != UNBOUNDED,
            clustered=plan.clustered,
            interval=interval,
            reverse=reverse,
            entries=len(entries),
            lookups=len(found),
            bytes=size,
            complete=not more,
            counter=None if counter is None else counter.name,
        )

    async def follow(
        self, reference: ReferenceOf[R, T], record: R, /, *, snapshot: bool = False
    ) -> T | None:
        """The record that `record` refers to; `None` if a column is `None` or it is gone."""
        key = self.schema.reference(reference)(record)
        if key is None:
            return None
        raw = await self.unchecked_get(key, snapshot=snapshot)
        return None if raw is None else self.schema.plan(reference.target()).read(key, raw)

    async def follow_many(
        self, reference: ReferenceOf[R, T], records: Iterable[R], /, *, snapshot: bool = False
    ) -> list[T | None]:
        """As `follow` for each record; records that refer to the same one share one read."""
        key_of = self.schema.reference(reference)
        plan = self.schema.plan(reference.target())
        keys = [key_of(record) for record in records]
        wanted = list(dict.fromkeys(key for key in keys if key is not None))
        raws = await self.unchecked_get_many(wanted, snapshot=snapshot)
        found: dict[bytes | None, T | None] = {
            key: None if raw is None else plan.read(key, raw)
            for key, raw in zip(wanted, raws, strict=True)
        }
        return [found.get(key) for key in keys]

    def key_of(self, kind: type[R], /, *key: KeyValue) -> bytes:
        """The stored key of a record, for `watch` and conflict ranges."""
        return self.schema.plan(kind).key(key)

    async def _index(self, index: IndexOf[Any]) -> IndexPlan:
        """The plan of an index that may be read at this snapshot."""
        plan = self.schema.index(index)
        if self._schema_confirmed < CONFIRMED_FOR_READS:
            await self._confirm_schema(writing=False)
        if plan.stored is not None and self.read_timestamp < plan.readable_from:
            require_readable(plan.name, plan.stored, self.read_timestamp)
        return plan

    async def _records_of(
        self, plan: IndexPlan, entries: Sequence[tuple[bytes, bytes]], *, snapshot: bool
    ) -> list[Any]:
        """The records of index entries, looked up unless the entries carry them."""
        if plan.clustered or not entries:
            return plan.kind.read_page(entries)
        keys = [RECORDS + value for _entry, value in entries]
        found = await self.unchecked_get_many(keys, snapshot=snapshot)
        for (entry, _value), raw in zip(entries, found, strict=True):
            if raw is None:
                raise StoreDamaged(
                    f"entry {entry!r} of {plan.name} leads to no record; `fastness check` tells "
                    "whether more is wrong"
                )
        return plan.kind.read_page(list(zip(keys, found, strict=True)))  # type: ignore[arg-type]  # None was refused

    async def confirm_schema_for_writes(self) -> None:
        """Conflict with every change of the schema, as the first write of a record does."""
        if self._schema_confirmed < CONFIRMED_FOR_WRITES:
            await self._confirm_schema(writing=True)

    async def _confirm_schema(self, *, writing: bool) -> None:
        """Notice, once per transaction, that the stored schema is not the one known here.

        Writers need exactly the schema of their snapshot. A reader of the past may know more
        than its snapshot; indexes say since when they serve. Both conflict with a change of it
        if they write anything: others may keep a dropped index no longer.
        """
        raw = await self.unchecked_get(SCHEMA_VERSION_KEY)
        found = 0 if raw is None else int.from_bytes(raw, "big")
        if found > self.schema.version or (writing and found != self.schema.version):
            raise Conflict(
                f"the schema changed to version {found} while this transaction knows version "
                f"{self.schema.version}; run it again, after db.use(...) if it goes on",
                key=SCHEMA_VERSION_KEY,
            )
        self._schema_confirmed = CONFIRMED_FOR_WRITES if writing else CONFIRMED_FOR_READS
