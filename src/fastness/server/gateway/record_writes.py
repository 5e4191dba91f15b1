"""Operations on records inside a transaction of a request."""

from __future__ import annotations

from typing import Any

from fastness.client.cluster import ClusterTransaction
from fastness.errors import RecordNotFound
from fastness.model import Record, as_mapping
from fastness.model.by_name import changes_of, column_values, plan_of, record_of
from fastness.model.plans import KindPlan
from fastness.model.schema import Schema
from fastness.server.gateway.operations import InsertRecord, PatchRecord, PutRecord, RemoveRecord
from fastness.server.gateway.record_documents import Written, version_of

RECORD_OPERATIONS = (InsertRecord, PutRecord, PatchRecord, RemoveRecord)


class RecordWrites:
    """Writes records by the classes of a stored schema."""

    def __init__(self, tx: ClusterTransaction, schema: Schema) -> None:
        self._tx = tx
        self._schema = schema

    async def apply(self, one: InsertRecord | PutRecord | PatchRecord | RemoveRecord) -> Written:
        """Do one; the record as stored, or as it was removed."""
        plan = plan_of(self._schema, one.kind)
        record = await self._applied(plan, one)
        return Written(as_mapping(record), version_of(plan, record))

    async def _applied(
        self, plan: KindPlan[Any], one: InsertRecord | PutRecord | PatchRecord | RemoveRecord
    ) -> Record:
        if isinstance(one, InsertRecord):
            return await self._tx.insert(record_of(plan, one.record))
        if_version = None if one.if_version is None else int(one.if_version)
        if isinstance(one, PutRecord):
            return await self._tx.put(record_of(plan, one.record), if_version=if_version)
        key = _key(plan, one.key)
        if isinstance(one, PatchRecord):
            changes = changes_of(plan, one.changes)
            patched: Record = await self._tx.patch(
                plan.record, *key, if_version=if_version, **changes
            )
            return patched
        removed: Record | None = await self._tx.remove(plan.record, *key, if_version=if_version)
        if removed is None:
            raise RecordNotFound(f"{plan.shown(key)} does not exist")
        return removed


def _key(plan: KindPlan[Any], given: list[Any]) -> list[Any]:
    return column_values(plan.kind.key, given, f"the key of {plan.name}")
