"""Operations on records, mixed into the client's transaction.

Every operation is made of key-value reads and buffered writes of the same transaction, so
records, index entries and totals change together or not at all, and each read is validated
at the commit as any other. What is computed comes from the plans of the schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec.structs import replace

from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    InvalidOption,
    InvalidValue,
    RecordExists,
    RecordNotFound,
    SchemaError,
    UniqueViolation,
    VersionMismatch,
)
from fastness.model._async.reads import CONFIRMED_FOR_WRITES, AsyncTypedReads
from fastness.model.compiling import Entries, Uniques
from fastness.model.declarations import Record
from fastness.model.parts import KeyValue
from fastness.model.plans import KindPlan

R = TypeVar("R", bound=Record)

_STAMPS_MAX = 1 << 16


class AsyncTypedOperations(AsyncTypedReads):
    """Typed records in a transaction; see `fastness.model` for the manual."""

    __slots__ = ()

    async def insert(self, record: R) -> R:
        """Store a new record; answers it as stored.

        `RecordExists` if its key is taken, `UniqueViolation` if a unique index holds its
        values, `InvalidValue` naming the field if a value does not fit its type.
        """
        return await self._store(record, new=True)

    async def put(self, record: R, *, if_version: int | None = None) -> R:
        """Store a record, new or in place of the one with its key; answers it as stored.

        With `if_version` the stored record must have that version (0: must not exist), or
        `VersionMismatch` is raised.
        """
        return await self._store(record, new=False, if_version=if_version)

    async def patch(
        self,
        kind: type[R],
        /,
        *key: KeyValue,
        if_version: int | None = None,
        **changes: Any,  # noqa: ANN401 - the fields of any kind, checked against their types
    ) -> R:
        """Change some fields of a stored record; answers the new record.

        `RecordNotFound` if there is none; `InvalidValue` for a field that does not exist or
        belongs to the key, or a value that does not fit.
        """
        plan = self.schema.plan(kind)
        before = await self._before(plan, plan.key(key))
        if before is None:
            raise RecordNotFound(f"{plan.shown(key)} does not exist; put() makes new records")
        wrong = [name for name in changes if name not in plan.patchable]
        if wrong:
            raise InvalidValue(plan.unpatchable(wrong[0]))
        return await self._store(
            replace(before, **changes), new=False, if_version=if_version, known=before
        )

    async def remove(
        self, kind: type[R], /, *key: KeyValue, if_version: int | None = None
    ) -> R | None:
        """Remove a record; answers it, or `None` if there was none."""
        plan = self.schema.plan(kind)
        if self._schema_confirmed < CONFIRMED_FOR_WRITES:
            await self._confirm_schema(writing=True)
        record_key = plan.key(key)
        raw = await self.unchecked_get(record_key)
        record = None if raw is None else plan.read(record_key, raw)
        if if_version is not None:
            _require_version(plan, key, record, if_version)
        if record is None or raw is None:
            return None
        entries = plan.entries(record, raw, record_key)[0]
        if plan.is_building:
            await self._beside_building(plan, record_key, entries, record, None)
        for entry in entries:
            self.unchecked_delete(entry)
        if plan.has_totals:
            for total, amount in plan.counted(record):
                if amount:
                    self.unchecked_add(total, -amount)
        self.unchecked_delete(record_key)
        return record

    async def _before(self, plan: KindPlan[R], key: bytes) -> R | None:
        raw = await self.unchecked_get(key)
        return None if raw is None else plan.read(key, raw)

    async def _store(
        self, record: R, *, new: bool, if_version: int | None = None, known: R | None = None
    ) -> R:
        """Write a record and everything kept about it. `known` was just read by `patch`."""
        plan = self.schema.plan(type(record))
        if self._schema_confirmed < CONFIRMED_FOR_WRITES:
            await self._confirm_schema(writing=True)
        checked, raw = plan.encode(record, self.read_timestamp)
        if plan.stamp is not None:
            return self._append(plan, checked, raw, new=new)
        key = plan.record_key(checked)
        entries, uniques = plan.entries(checked, raw, key)
        if len(raw) > plan.roomy_bytes:
            plan.check_keys(key, entries)
        stored = await self._stored(plan, key, uniques, new=new)
        before = known
        if before is None and stored is not None:
            before = plan.read(key, stored)
        if if_version is not None:
            _require_version(plan, plan.key_values(checked), before, if_version)
        expires_at = None if plan.expires is None else plan.expiry(checked)
        if before is None or stored is None:
            await self._create(plan, key, entries, checked, expires_at)
        else:
            await self._replace(plan, key, entries, checked, before, stored, expires_at)
        self.unchecked_set(key, raw, expires_at)
        return checked

    async def _stored(
        self, plan: KindPlan[R], key: bytes, uniques: Uniques, *, new: bool
    ) -> bytes | None:
        """What is stored under a key, once nothing stands in the way of writing there."""
        held: list[bytes | None] = []
        if uniques:
            held = await self.unchecked_get_many([key, *[entry for entry, _ in uniques]])
            stored = held.pop(0)
        else:
            stored = await self.unchecked_get(key)
        if stored is not None and new:
            values = plan.values_of_key(key)
            raise RecordExists(f"{plan.shown(values)} exists already; put() replaces it")
        for (entry, ordinal), value in zip(uniques, held, strict=True):
            if value is not None:
                index = plan.indexes[ordinal]
                owner = plan.owner_of(index, value)
                if owner != key:
                    raise UniqueViolation(plan.violation(index, owner, entry))
        return stored

    async def _create(
        self,
        plan: KindPlan[R],
        key: bytes,
        entries: Entries,
        record: R,
        expires_at: Timestamp | None,
    ) -> None:
        """Entries and totals of a record that was not there."""
        if plan.is_building:
            await self._beside_building(plan, key, {}, None, record)
        for entry, value in entries.items():
            self.unchecked_set(entry, value, expires_at)
        if plan.has_totals:
            for total, amount in plan.counted(record):
                if amount:
                    self.unchecked_add(total, amount)

    async def _replace(  # noqa: PLR0917 - the hot path of updates, called from one place
        self,
        plan: KindPlan[R],
        key: bytes,
        entries: Entries,
        record: R,
        before: R,
        stored: bytes,
        expires_at: Timestamp | None,
    ) -> None:
        """Bring entries and totals from those of `before` to those of `record`."""
        old_entries = plan.entries(before, stored, key)[0]
        gone = {entry: value for entry, value in old_entries.items() if entry not in entries}
        if plan.is_building:
            await self._beside_building(plan, key, gone, before, record)
        for entry in gone:
            self.unchecked_delete(entry)
        moved = plan.expires is not None and plan.expiry(before) != expires_at
        for entry, value in entries.items():
            if moved or old_entries.get(entry) != value:
                self.unchecked_set(entry, value, expires_at)
        if plan.has_totals:
            amounts: dict[bytes, int] = {}
            for total, amount in plan.counted(record):
                amounts[total] = amounts.get(total, 0) + amount
            for total, amount in plan.counted(before):
                amounts[total] = amounts.get(total, 0) - amount
            for total, amount in amounts.items():
                if amount:
                    self.unchecked_add(total, amount)

    def _append(self, plan: KindPlan[R], record: R, raw: bytes, *, new: bool) -> R:
        """A record of a log: its key is completed by the commit."""
        if not new:
            raise InvalidOption(f"{plan.name} is a log: use insert(); its records never change")
        if self._stamps >= _STAMPS_MAX:
            raise InvalidOption(f"one transaction appends at most {_STAMPS_MAX} records to logs")
        prefix, suffix = plan.stamped_key(record, self._stamps)
        plan.check_keys(prefix + bytes(10) + suffix, {})
        self._stamps += 1
        self.unchecked_set_versionstamped_key(prefix, raw, suffix)
        return record

    async def _beside_building(
        self,
        plan: KindPlan[R],
        key: bytes,
        gone: Entries,
        before: R | None,
        record: R | None,
    ) -> None:
        """What a writer must look at while an index or total of the kind is being built.

        Entries of unique indexes may belong to another record as long as duplicates have not
        been found: those stay. A record counts in a total once it is marked as counted.
        """
        for _at, index in plan.building_indexes:
            if index.unique and before is not None:
                own = [entry for entry in gone if index.holds(entry)]
                for entry, value in zip(own, await self.unchecked_get_many(own), strict=True):
                    if value is None or plan.owner_of(index, value) != key:
                        del gone[entry]
        for total in plan.building_totals:
            mark = total.mark(key)
            if before is not None and await self.unchecked_get(mark) is None:
                continue
            if record is None:
                self.unchecked_delete(mark)
            elif before is None:
                self.unchecked_set(mark, b"")
            for counter, amount in [] if record is None else total.builder(record):
                self.unchecked_add(counter, amount)
            for counter, amount in [] if before is None else total.builder(before):
                self.unchecked_add(counter, -amount)


def _require_version(
    plan: KindPlan[R], key: Iterable[object], record: R | None, if_version: int
) -> None:
    if plan.version is None:
        raise SchemaError(
            f"{plan.name} keeps no versions: declare a field 'version: Version = 0' to use "
            "if_version"
        )
    found = 0 if record is None else getattr(record, plan.version)
    if found != if_version:
        raise VersionMismatch(
            f"{plan.shown(key)} "
            + (f"has version {found}" if record is not None else "does not exist (version 0)")
            + f", not {if_version!r}: fetch it again and decide anew"
        )
