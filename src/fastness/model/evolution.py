"""From the stored schema and a declared class to the next stored schema, or a refusal.

`evolve` compares one kind. Everything that would misread stored data is collected and refused
at once, each point with its field and the way out. What is fine becomes the new row: added
fields are remembered as sparse, a new index or total starts write-only (readable at once
where the kind is new), one that is gone or was redefined is cleared in the background.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.msgpack import encode
from msgspec.structs import replace

from fastness.errors import SchemaError
from fastness.model.declarations import Association, parts_of
from fastness.model.fitting import Misfit, field_misfits, merged_fields
from fastness.model.kinds import Kind
from fastness.model.layout import GLOBAL_AREA
from fastness.model.stored import (
    Catalog,
    Clearing,
    State,
    StoredArea,
    StoredIndex,
    StoredKind,
    StoredTotal,
    stored_columns,
    stored_index,
    stored_total,
)

_NULL = encode(None)

Table = TypeVar("Table", StoredIndex, StoredTotal)


@dataclass
class Numbers:
    """Gives out numbers and areas; `catalog` is what it has come to."""

    catalog: Catalog

    def number(self) -> int:
        """A number never given out before."""
        number = self.catalog.next_number
        self.catalog = replace(self.catalog, next_number=number + 1)
        return number

    def area(self, kind: Kind) -> int:
        """The number of a kind's area; `SchemaError` where other kinds use it otherwise."""
        if not kind.partition:
            return GLOBAL_AREA
        name = kind.declaration.area
        codes = tuple(column.codec.name for column in kind.partition)
        known = self.catalog.areas.get(name)
        if known is None:
            known = StoredArea(self.number(), codes)
            self.catalog = replace(self.catalog, areas={**self.catalog.areas, name: known})
        elif known.codes != codes:
            raise SchemaError(
                f"{kind.name}: partition values of area {name!r} are ({', '.join(known.codes)}), "
                f"not ({', '.join(codes)}); give this kind an area of its own: area={kind.name!r}"
            )
        return known.number

    def clear(self, table: StoredIndex | StoredTotal, kind: StoredKind) -> None:
        """Note that nobody uses a table any more."""
        area = self.catalog.areas[kind.area].number if table.local else GLOBAL_AREA
        columns = kind.partition_columns if table.local else 0
        gone = [Clearing(table.number, area, columns)]
        if isinstance(table, StoredTotal) and table.marks:
            gone.append(Clearing(table.marks, GLOBAL_AREA, 0))
        self.catalog = replace(self.catalog, clearing=(*self.catalog.clearing, *gone))


@dataclass
class Evolution:
    """What became of one kind."""

    kind: StoredKind
    changes: list[str] = field(default_factory=list)
    """In words, one line each; empty when nothing changed."""


def evolve(stored: StoredKind | None, kind: Kind, numbers: Numbers) -> Evolution:
    """The row of a declared kind; `SchemaError` lists what would misread stored data."""
    numbers.area(kind)
    if stored is None:
        return _created(kind, numbers)
    found = list(_misfits(stored, kind))
    if found:
        raise SchemaError(
            f"{kind.record.__name__} would misread stored records of kind {stored.name!r}:\n"
            + "\n".join(f"  {misfit}" for misfit in found)
        )
    declared = _declared(kind, stored.number)
    fields, removed = merged_fields(stored.fields, stored.removed, declared.fields)
    indexes = _tables(stored.indexes, declared.indexes, stored, numbers)
    totals = _tables(stored.totals, declared.totals, stored, numbers)
    totals = tuple(
        replace(total, marks=numbers.number())
        if total.state is State.WRITE_ONLY and not total.marks
        else total
        for total in totals
    )
    after = replace(declared, fields=fields, removed=removed, indexes=indexes, totals=totals)
    return Evolution(after, list(_changes(stored, after)))


def _created(kind: Kind, numbers: Numbers) -> Evolution:
    new = _declared(kind, numbers.number())
    new = replace(
        new,
        indexes=tuple(replace(index, number=numbers.number()) for index in new.indexes),
        totals=tuple(replace(total, number=numbers.number()) for total in new.totals),
    )
    return Evolution(new, [f"kind {new.name}: new"])


def _declared(kind: Kind, number: int) -> StoredKind:
    """The row a class alone would have; its indexes and totals without numbers."""
    names = {one.attribute: one.name for one in kind.fields}
    ends = None
    if issubclass(kind.record, Association):
        parts = parts_of(kind.record)
        ends = (
            tuple(names[name] for name in parts["source"].field_names()),
            tuple(names[name] for name in parts["target"].field_names()),
        )
    return StoredKind(
        name=kind.name,
        number=number,
        area=kind.declaration.area,
        partition_columns=len(kind.partition),
        key=stored_columns(kind.key, names),
        fields=kind.fields,
        indexes=tuple(stored_index(index, names, 0) for index in kind.indexes),
        totals=tuple(stored_total(total, names, 0) for total in kind.totals),
        expires=None if kind.expires is None else names[kind.expires],
        version=None if kind.version is None else names[kind.version],
        stamp=None if kind.stamp is None else names[kind.stamp],
        association=ends,
    )


def _misfits(stored: StoredKind, kind: Kind) -> Iterator[Misfit]:
    name = kind.record.__name__
    declared = _declared(kind, stored.number)
    yield from _key_misfits(stored, declared, name)
    yield from _expiry_misfits(stored, declared, name)
    agreed = {f"{name}.{path}" for path in kind.declaration.removed}
    for misfit in field_misfits(stored.fields, stored.removed, declared.fields, name):
        if not (misfit.gone and misfit.place in agreed):
            yield misfit


def _key_misfits(stored: StoredKind, declared: StoredKind, name: str) -> Iterator[Misfit]:
    """A record is found by its key, so where it lies can never change."""
    before = ", ".join(f"{column.name}: {column.code}" for column in stored.key)
    now = ", ".join(f"{column.name}: {column.code}" for column in declared.key)
    remedy = "declare the new form as another kind (kind='...') and copy the records"
    if stored.key != declared.key:
        yield Misfit(name, f"the key was ({before}), is ({now})", remedy)
    if (stored.area, stored.partition_columns) != (declared.area, declared.partition_columns):
        was = [column.name for column in stored.key[: stored.partition_columns]]
        yield Misfit(
            name,
            f"the partition was {was} in area {stored.area!r}, is "
            f"{[column.name for column in declared.key[: declared.partition_columns]]} in area "
            f"{declared.area!r}",
            f"keep it (area={stored.area!r} names the area); or {remedy}",
        )


def _expiry_misfits(stored: StoredKind, declared: StoredKind, name: str) -> Iterator[Misfit]:
    """Stored records expire by what was declared when they were written."""
    if stored.expires == declared.expires:
        return
    known = {one.name for one in stored.fields}
    new = next((one for one in declared.fields if one.name == declared.expires), None)
    is_new = stored.expires is None and new is not None and new.name not in known
    if is_new and new is not None and new.default == _NULL:
        return
    yield Misfit(
        name,
        f"expires was {stored.expires!r}, is {declared.expires!r}; stored records keep to the old",
        "keep it, or expire by a new optional field with default None",
    )


def _tables(
    stored: tuple[Table, ...], declared: tuple[Table, ...], kind: StoredKind, numbers: Numbers
) -> tuple[Table, ...]:
    """The declared tables: those stored alike go on under their number, others are filled."""
    left = {_definition(table): table for table in stored}
    after: list[Table] = []
    for table in declared:
        known = left.pop(_definition(table), None)
        if known is not None:
            after.append(replace(known, name=table.name))
        else:
            after.append(replace(table, number=numbers.number(), state=State.WRITE_ONLY))
    for gone in left.values():
        numbers.clear(gone, kind)
    return tuple(after)


def _definition(table: StoredIndex | StoredTotal) -> bytes:
    """What the keys and values of a table depend on: everything but name, number and state."""
    bare = replace(table, name="", number=0, state=State.READABLE, readable_since=0)
    return encode(bare if isinstance(bare, StoredIndex) else replace(bare, marks=0))


def _changes(before: StoredKind, after: StoredKind) -> Iterator[str]:
    """What an operator may want to read, one line each."""
    if before == after:
        return
    fields = {one.name: one for one in before.fields}
    for one in after.fields:
        if one.name not in fields:
            yield f"{after.name}.{one.attribute}: field added"
        elif fields[one.name].shape != one.shape:
            yield f"{after.name}.{one.attribute}: {fields[one.name].shape} widened to {one.shape}"
    for gone in after.removed:
        if gone.name in fields:
            yield f"{after.name}.{gone.attribute}: field given up"
    tables, before_tables = _numbered(after), _numbered(before)
    for number, name in tables.items():
        if number not in before_tables:
            yield f"{after.name}.{name}: is being built"
    for number, name in before_tables.items():
        if number not in tables:
            yield f"{after.name}.{name}: dropped"


def _numbered(kind: StoredKind) -> dict[int, str]:
    """The names of indexes and totals by number."""
    return {one.number: one.name for one in kind.indexes} | {
        one.number: one.name for one in kind.totals
    }
