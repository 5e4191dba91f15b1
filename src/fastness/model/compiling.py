"""Functions made for one kind: source text, compiled once, without reflection per operation.

Packing a key field by field through closures costs a call per field and index; a listing or
a load does it millions of times. So the functions that turn a record into its key, its
index entries and its totals are written out as Python source for each kind, as the standard
library does for dataclasses. Nothing of the source comes from data: attribute names
are checked identifiers, everything else is a constant passed by reference.

The functions take records whose fields were checked against their types (they were
decoded). Those that take arguments of callers (`argument_packer`) check them: exact types go
the quick way, everything else the slow one, which converts or explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from keyword import iskeyword
from types import CodeType
from typing import Any, TypeAlias

from fastness import invariants
from fastness.encoding.descending import descending
from fastness.errors import InvalidKey
from fastness.model.columns import NULL, PACKERS
from fastness.model.declarations import Record
from fastness.model.kinds import Condition, IndexDefinition, KeyColumn, TotalDefinition
from fastness.model.layout import Place

Piece: TypeAlias = str | bytes
"""Of a key: a constant, or source text of the bytes."""

Entries: TypeAlias = dict[bytes, bytes]
Uniques: TypeAlias = list[tuple[bytes, int]]
EntryBuilder: TypeAlias = Callable[[Record, bytes, bytes], tuple[Entries, Uniques]]
"""(record, its encoded value, its key) -> index entries, and which of them must be alone."""
TotalBuilder: TypeAlias = Callable[[Record], list[tuple[bytes, int]]]
"""record -> the keys of totals it counts in, and what it adds to each."""
RecordPacker: TypeAlias = Callable[[Record], bytes]
ArgumentPacker: TypeAlias = Callable[..., bytes]

_PACKERS = {f"pack_{name}": encoder for name, encoder in PACKERS.items()}


class _Source:
    """A function being written: its lines, and the constants they refer to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: list[Any] = []

    def constant(self, value: object) -> str:
        """The name under which the source finds `value`."""
        self.constants.append(value)
        return f"K{len(self.constants) - 1}"

    def joined(self, pieces: Iterable[Piece]) -> str:
        """Source text of the concatenation, neighbouring constants merged."""
        merged: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, bytes) and merged and isinstance(merged[-1], bytes):
                merged[-1] += piece
            else:
                merged.append(piece)
        return " + ".join(self.constant(p) if isinstance(p, bytes) else p for p in merged)

    def function(self, name: str, parameters: str) -> Callable[..., Any]:
        """The compiled function."""
        text = "\n    ".join([f"def {name}({parameters}):", *self.lines]) + "\n"
        namespace: dict[str, Any] = {
            **_PACKERS,
            **{f"K{at}": value for at, value in enumerate(self.constants)},
            "NULL": NULL,
            "descending": descending,
        }
        exec(_compiled(text), namespace)  # noqa: S102 - the source is ours, names are checked
        made: Callable[..., Any] = namespace[name]
        return made


@lru_cache(maxsize=4096)
def _compiled(text: str) -> CodeType:
    return compile(text, "<fastness.model.compiling>", "exec")


def _attribute(field: str) -> str:
    invariants.check(field.isidentifier() and not iskeyword(field), f"{field!r} is no attribute")
    return f"e.{field}"


def _packed(column: KeyColumn, value: str) -> str:
    text = column.codec.expression(value)
    return f"descending({text})" if column.descending else text


def _arranged(place: Place, packed: Sequence[str]) -> list[Piece]:
    """The pieces of a key whose first columns are the partition's."""
    count = place.partition_columns
    return [place.head, *packed[:count], place.number, *packed[count:]]


def record_packer(place: Place, columns: Sequence[KeyColumn]) -> RecordPacker:
    """A function from a record to its key."""
    source = _Source()
    packed = [_packed(column, _attribute(column.field)) for column in columns]
    source.lines.append(f"return {source.joined(_arranged(place, packed))}")
    return source.function("record_key", "e")


def reference_packer(
    place: Place, columns: Sequence[KeyColumn]
) -> Callable[[Record], bytes | None]:
    """A function from a record to the key it refers to, `None` where a column is `None`."""
    source = _Source()
    for column in columns:
        if column.codec.nullable:
            source.lines.append(f"if {_attribute(column.field)} is None: return None")
    packed = [_packed(column, _attribute(column.field)) for column in columns]
    source.lines.append(f"return {source.joined(_arranged(place, packed))}")
    return source.function("target_key", "e")


def argument_packer(
    place: Place, columns: Sequence[KeyColumn], describe: Callable[[int], str]
) -> ArgumentPacker:
    """A function from positional arguments to the key, or key prefix, of these columns.

    `describe` names a column in the `InvalidKey` that an argument of a wrong type raises.
    """
    source = _Source()
    names = [f"a{at}" for at in range(len(columns))]
    tests = []
    for name, column in zip(names, columns, strict=True):
        tests.append(_needs_care(source, column, name))
    packed = [_packed(column, name) for column, name in zip(columns, names, strict=True)]
    quick = f"return {source.joined(_arranged(place, packed))}"
    if not names:
        source.lines.append(quick)
    else:
        slow = source.constant(_slow_packer(place, columns, describe))
        again = f"return {slow}(({', '.join(names)},))"
        refused = source.constant(InvalidKey)
        source.lines += [f"if {' or '.join(tests)}: {again}", f"try: {quick}"]
        source.lines.append(f"except {refused}: {again}")
    return source.function("pack_arguments", ", ".join([*names, "/"] if names else []))


def _needs_care(source: _Source, column: KeyColumn, name: str) -> str:
    """Source text: whether an argument is not of the exact type that is packed unchecked."""
    quick = column.codec.quick_type
    if quick is None:
        return "True"
    test = f"type({name}) is not {source.constant(quick)}"
    return f"({name} is not None and {test})" if column.codec.nullable else test


def _slow_packer(
    place: Place, columns: Sequence[KeyColumn], describe: Callable[[int], str]
) -> Callable[[tuple[object, ...]], bytes]:
    def slow(values: tuple[object, ...]) -> bytes:
        packed = [
            packed_argument(column, value, describe(at))
            for at, (column, value) in enumerate(zip(columns, values, strict=True))
        ]
        count = place.partition_columns
        return b"".join([place.head, *packed[:count], place.number, *packed[count:]])

    return slow


def packed_argument(column: KeyColumn, value: object, place: str) -> bytes:
    """One column of a key from a value a caller gave; `InvalidKey` names `place`."""
    try:
        packed = column.codec.pack(value, place)
    except InvalidKey as error:
        if str(error).startswith(place):
            raise
        raise InvalidKey(f"{place}: {error}") from error
    return descending(packed) if column.descending else packed


def _condition_text(source: _Source, conditions: Iterable[Condition]) -> str:
    """Source text of a partial index's test."""
    tests = []
    for field, encoded, constant in conditions:
        attribute = _attribute(field)
        if encoded is None:
            tests.append(f"{attribute} is not None")
        elif constant is None:
            tests.append(f"{attribute} is None")
        else:
            tests.append(f"{attribute} == {source.constant(constant)}")
    return " and ".join(tests) or "True"


class _SharedColumns:
    """Packs each column once, whichever indexes use it."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._names: dict[tuple[str, bool], str] = {}

    def packed(self, column: KeyColumn) -> str:
        """The variable that holds the packed column."""
        name = self._names.get((column.field, column.descending))
        if name is None:
            name = f"c{len(self._names)}"
            self._names[column.field, column.descending] = name
            self._source.lines.append(f"{name} = {_packed(column, _attribute(column.field))}")
        return name


def entry_builder(
    indexes: Sequence[tuple[int, IndexDefinition, Place]], key: Sequence[KeyColumn]
) -> EntryBuilder:
    """A function from a record to the entries of these indexes, each with its ordinal."""
    source = _Source()
    shared = _SharedColumns(source)
    source.lines += ["found = {}", "unique = []"]
    if any(not definition.clustered for _, definition, _ in indexes):
        source.lines.append("target = key[2:]")
    for ordinal, definition, place in indexes:
        _write_entries(source, shared, ordinal, definition, place, key)
    source.lines.append("return found, unique")
    return source.function("entries", "e, raw, key")


def _write_entries(  # noqa: PLR0917 - one step of a loop
    source: _Source,
    shared: _SharedColumns,
    ordinal: int,
    definition: IndexDefinition,
    place: Place,
    key: Sequence[KeyColumn],
) -> None:
    columns = [*definition.columns, *([] if definition.unique else rest_of(definition, key))]
    packed = [_packed(c, "x") if c.each else shared.packed(c) for c in columns]
    many = next((column for column in columns if column.each), None)
    pad = ""
    if definition.conditions:
        source.lines.append(f"if {_condition_text(source, definition.conditions)}:")
        pad = "    "
    if many is not None:
        source.lines.append(f"{pad}for x in {_attribute(many.field)}:")
        pad += "    "
    source.lines.append(f"{pad}k = {source.joined(_arranged(place, packed))}")
    source.lines.append(f"{pad}found[k] = {'raw' if definition.clustered else 'target'}")
    if definition.unique:
        source.lines.append(f"{pad}unique.append((k, {ordinal}))")


def rest_of(definition: IndexDefinition, key: Sequence[KeyColumn]) -> list[KeyColumn]:
    """The key columns an entry needs beside the index's own to tell records apart."""
    held = {column.field for column in definition.columns if not column.each}
    return [column for column in key if column.field not in held]


def total_builder(totals: Sequence[tuple[TotalDefinition, Place]]) -> TotalBuilder:
    """A function from a record to what it adds to these totals."""
    source = _Source()
    shared = _SharedColumns(source)
    source.lines.append("found = []")
    for definition, place in totals:
        packed = [shared.packed(column) for column in definition.group]
        amount = "1" if definition.summed is None else f"({_attribute(definition.summed)} or 0)"
        test = _condition_text(source, definition.conditions)
        key = source.joined(_arranged(place, packed))
        source.lines.append(f"if {test}: found.append(({key}, {amount}))")
    source.lines.append("return found")
    return source.function("totals", "e")
