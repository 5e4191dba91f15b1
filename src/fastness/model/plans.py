"""How records of one kind are stored in one database: the class bound to its numbers.

A `KindPlan` joins what a class means (`fastness.model.kinds`) with what the registry gave
out (`fastness.model.stored`): the compiled functions for keys, entries and totals, the
decoders, and the state of each index. Plans are made when classes are registered and never
change; a changed schema makes new ones.

They compute; the operations in `_async` and `_sync` read and write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Generic, NoReturn, TypeVar

from msgspec import MsgspecError
from msgspec.msgpack import Decoder, Encoder
from msgspec.structs import force_setattr

from fastness.encoding.elements import Versionstamp
from fastness.encoding.timestamps import TIMESTAMP_MAX, from_datetime
from fastness.errors import (
    InvalidKey,
    InvalidOption,
    InvalidValue,
    LimitExceeded,
    StoreDamaged,
)
from fastness.limits import Limits
from fastness.model.columns import STAMP_CODE
from fastness.model.compiling import (
    ArgumentPacker,
    EntryBuilder,
    TotalBuilder,
    argument_packer,
    entry_builder,
    record_packer,
    rest_of,
    total_builder,
)
from fastness.model.declarations import Record
from fastness.model.intervals import IndexRange
from fastness.model.kinds import Condition, IndexDefinition, KeyColumn, Kind, TotalDefinition
from fastness.model.layout import GLOBAL_AREA, RECORDS, Place, place_of
from fastness.model.parts import UNSTAMPED
from fastness.model.stored import Catalog, State, StoredIndex, StoredKind, StoredTotal

R = TypeVar("R", bound=Record)

_encode = Encoder().encode
_ARRAY = b"\xdd"
_WRONG_VALUE = (MsgspecError, TypeError, ValueError, OverflowError, RecursionError)
"""What encoding or checking a record raises for a value that does not fit its field."""


class IndexPlan(IndexRange):
    """The primary key or a secondary index of one kind in one database."""

    def __init__(
        self,
        plan: KindPlan[Any],
        place: Place,
        definition: IndexDefinition | None,
        stored: StoredIndex | None,
    ) -> None:
        """`definition` and `stored` are `None` for the primary key."""
        self.kind = plan
        self.definition = definition
        self.stored = stored
        self.clustered = definition is None or definition.clustered
        self.unique = definition is None or definition.unique
        key = plan.kind.key
        columns: Sequence[KeyColumn] = key
        own = len(key)
        if definition is not None:
            own = len(definition.columns)
            columns = definition.columns
            if not definition.unique:
                columns = (*columns, *rest_of(definition, key))
        name = "by_key" if definition is None else definition.name
        super().__init__(f"{plan.kind.record.__name__}.{name}", place, columns, own)
        self.readable_from = _readable_from(stored)

    @property
    def stored_number(self) -> int:
        """The number of its keys."""
        return self.kind.stored.number if self.stored is None else self.stored.number

    @property
    def is_readable(self) -> bool:
        """Whether every record has its entries."""
        return self.stored is None or self.stored.state is State.READABLE

    def holds(self, entry: bytes) -> bool:
        """Whether a key is one of this index."""
        place = self.place
        if not entry.startswith(place.head):
            return False
        return entry.startswith(place.table_of(place.partition_of(entry)))

    def unique_key(self, values: tuple[object, ...]) -> bytes:
        """The key of the one entry with these values; `InvalidOption` unless there is one."""
        if not self.unique:
            raise InvalidOption(
                f"{self.name} is not unique, so there may be many: use query(), or declare it "
                "with unique=True"
            )
        if len(values) != self.own:
            raise InvalidOption(
                f"{self.name} has the columns ({', '.join(c.field for c in self.columns)}); "
                f"fetch_by() takes a value for each, not {values!r:.200}"
            )
        return self.prefix(values)

    def counter(self, given: int, at: int) -> TotalPlan | None:
        """The count kept for exactly the first `given` columns, readable at a snapshot."""
        return next((one for one in self._counters[given] if at >= one.readable_from), None)

    @cached_property
    def _counters(self) -> list[list[TotalPlan]]:
        """The counts that equal the number of entries, by how many columns they group."""
        where = set() if self.definition is None else _alike(self.definition.conditions)
        found: list[list[TotalPlan]] = [[] for _ in range(len(self.columns) + 1)]
        if any(column.each for column in self.columns):
            return found
        names = tuple(column.field for column in self.columns)
        for total in self.kind.totals:
            definition = total.definition
            group = tuple(column.field for column in definition.group)
            alike = _alike(definition.conditions) == where and definition.summed is None
            if alike and names[: len(group)] == group:
                found[len(group)].append(total)
        return found

    @cached_property
    def entries(self) -> EntryBuilder:
        """The entries of this index alone, for building and checking it."""
        chosen = [] if self.definition is None else [(0, self.definition, self.place)]
        return entry_builder(chosen, self.kind.kind.key)


class TotalPlan:
    """A count or sum of one kind in one database."""

    def __init__(
        self, plan: KindPlan[Any], place: Place, definition: TotalDefinition, stored: StoredTotal
    ) -> None:
        self.kind = plan
        self.place = place
        self.definition = definition
        self.stored = stored
        self.name = f"{plan.kind.record.__name__}.{definition.name}"
        self.pack: ArgumentPacker = argument_packer(place, definition.group, self._describe)
        self.builder: TotalBuilder = total_builder([(definition, place)])
        self.readable_from = _readable_from(stored)

    def _describe(self, at: int) -> str:
        return f"{self.name}, {self.definition.group[at].field}"

    def key(self, group: tuple[object, ...]) -> bytes:
        """The key of the counter of a group; `InvalidKey` unless every column is given."""
        columns = self.definition.group
        if len(group) != len(columns):
            raise InvalidKey(
                f"{self.name} is kept per ({', '.join(c.field for c in columns)}), "
                f"{len(group)} values were given: {group!r:.200}"
            )
        return self.pack(*group)

    def mark(self, record_key: bytes) -> bytes:
        """While the total is built: the key that says a record is counted already."""
        return place_of(GLOBAL_AREA, 0, self.stored.marks).table_of(b"") + record_key[2:]

    @property
    def stored_number(self) -> int:
        """The number of its keys."""
        return self.stored.number

    @property
    def is_readable(self) -> bool:
        """Whether every record is counted."""
        return self.stored.state is State.READABLE


def _alike(conditions: Iterable[Condition]) -> set[tuple[str, bytes | None]]:
    """Conditions by what they demand, in any order."""
    return {(field, encoded) for field, encoded, _constant in conditions}


def _readable_from(stored: StoredIndex | StoredTotal | None) -> int:
    """The first snapshot that sees everything; beyond all timestamps while it is built."""
    if stored is None:
        return 0
    return stored.readable_since if stored.state is State.READABLE else TIMESTAMP_MAX


class KindPlan(Generic[R]):
    """One record class in one database: everything an operation needs, computed in advance."""

    def __init__(self, kind: Kind, stored: StoredKind, catalog: Catalog, limits: Limits) -> None:
        self.kind = kind
        self.stored = stored
        self.limits = limits
        self.area = catalog.areas[stored.area].number if stored.area else GLOBAL_AREA
        record: type[R] = kind.record  # type: ignore[assignment]  # the class R stands for
        self.record = record
        self.name = record.__name__
        self.place = self._place(stored.number, local=self.area != GLOBAL_AREA)
        self.decode: Callable[[bytes], R] = Decoder(record).decode
        self._decode_list: Callable[[bytes], list[R]] = Decoder(list[record]).decode  # type: ignore[valid-type]  # a type at run time
        self.record_key = record_packer(self.place, kind.key)
        self.pack_key: ArgumentPacker = argument_packer(self.place, kind.key, self._describe)
        self.primary = IndexPlan(self, self.place, None, None)
        self.indexes = [self._index(definition) for definition in kind.indexes]
        self.totals = [self._total(definition) for definition in kind.totals]
        self.entries: EntryBuilder = entry_builder(
            [
                (at, index.definition, index.place)
                for at, index in enumerate(self.indexes)
                if index.definition is not None
            ],
            kind.key,
        )
        self.counted: TotalBuilder = total_builder(
            [(total.definition, total.place) for total in self.totals if total.is_readable]
        )
        self.has_totals = any(total.is_readable for total in self.totals)
        self.building_indexes = [
            (at, index) for at, index in enumerate(self.indexes) if not index.is_readable
        ]
        self.building_totals = [total for total in self.totals if not total.is_readable]
        self.is_building = bool(self.building_totals) or any(
            index.unique for _at, index in self.building_indexes
        )
        """Whether writers must look before they change what is being built."""
        omits = record.__struct_config__.omit_defaults
        self.roomy_bytes = -1 if omits else (limits.key_bytes - 128) // 4
        """Records up to this size cannot have keys beyond the limit: a field takes at least
        three bytes in the record and at most nine, or twice its own size, in a key."""
        keys = kind.declaration.key
        self.patchable = {f.attribute for f in kind.fields if f.attribute not in keys}
        self.moments = kind.moments()
        self.stamp = kind.stamp
        self.version = kind.version
        self.expires = kind.expires

    def _place(self, number: int, *, local: bool) -> Place:
        if not local:
            return place_of(GLOBAL_AREA, 0, number)
        return place_of(self.area, self.stored.partition_columns, number)

    def _index(self, definition: IndexDefinition) -> IndexPlan:
        stored = next(one for one in self.stored.indexes if one.name == definition.name)
        place = self._place(stored.number, local=definition.local)
        return IndexPlan(self, place, definition, stored)

    def _total(self, definition: TotalDefinition) -> TotalPlan:
        stored = next(one for one in self.stored.totals if one.name == definition.name)
        place = self._place(stored.number, local=definition.local)
        return TotalPlan(self, place, definition, stored)

    def _describe(self, at: int) -> str:
        return f"{self.name}.{self.kind.key[at].field}"

    # ------------------------------------------------------------------ keys

    def key(self, values: tuple[object, ...]) -> bytes:
        """The record key of key values, any number of them; `InvalidKey` names what is wrong."""
        try:
            return self.pack_key(*values)
        except TypeError:
            columns = self.kind.key
            if len(values) == len(columns):
                raise
            raise InvalidKey(
                f"the key of {self.name} is ({', '.join(c.field for c in columns)}); "
                f"{len(values)} values were given: {values!r:.200}"
            ) from None

    def check_keys(self, record_key: bytes, entries: Iterable[bytes]) -> None:
        """Refuse a record key or entry keys beyond the limit."""
        for key in (record_key, *entries):
            if len(key) > self.limits.key_bytes:
                raise LimitExceeded(
                    f"a key of {self.name} has {len(key)} bytes, beyond key_bytes="
                    f"{self.limits.key_bytes}: {key[:60]!r}...; shorten the fields of its key or "
                    "index"
                )

    def key_values(self, record: R) -> tuple[object, ...]:
        """The key of a record, as its fields hold it."""
        return tuple(getattr(record, column.field) for column in self.kind.key)

    def values_of_key(self, key: bytes) -> tuple[object, ...]:
        """The key values that a stored record key was packed from."""
        return self.primary.values_of(key)

    def shown(self, values: Iterable[object]) -> str:
        """A record as messages name it: User 'ann', File (7, 12)."""
        shown = tuple(values)
        return f"{self.name} {shown[0]!r}" if len(shown) == 1 else f"{self.name} {shown!r}"

    def stamped_key(self, record: R, order: int) -> tuple[bytes, bytes]:
        """What surrounds the commit's ten bytes in the key of a new record of a log."""
        if getattr(record, self.stamp or "") != UNSTAMPED:
            raise InvalidValue(
                f"{self.name}.{self.stamp}: the commit fills it in; leave it UNSTAMPED. Records "
                "of a log are inserted and removed, never changed"
            )
        packed = [c.codec.pack(getattr(record, c.field), "") for c in self.kind.key[:-1]]
        count = self.place.partition_columns
        pieces = [self.place.head, *packed[:count], self.place.number, *packed[count:], STAMP_CODE]
        return b"".join(pieces), order.to_bytes(2, "big")

    def unpatchable(self, name: str) -> str:
        """Why `patch` refuses a field name."""
        if name in self.kind.declaration.key:
            return (
                f"{self.name}.{name} is part of the key: insert() the record under its new key and "
                "remove() the old one"
            )
        known = ", ".join(field.attribute for field in self.kind.fields)
        return f"{self.name} has no field {name!r}; it has {known}"

    def violation(self, index: IndexPlan, owner: bytes, entry: bytes) -> str:
        """Which record stands in the way of a unique index."""
        values = zip(index.columns, index.values_of(entry), strict=True)
        held = ", ".join(f"{column.field}={value!r}" for column, value in values)
        return (
            f"{self.shown(self.values_of_key(owner))} holds {held} already, and {index.name} is "
            "unique; change or remove it first"
        )

    # --------------------------------------------------------------- records

    def encode(self, record: R, timestamp: int) -> tuple[R, bytes]:
        """A record checked against its types: as it will be read back, and as it is stored.

        `InvalidValue` names the field and shows the value that does not fit.
        """
        try:
            raw = _encode(record)
            checked = self.decode(raw)
        except _WRONG_VALUE as error:
            raise self._refusal(record, error) from error
        for name in self.moments:
            moment = getattr(checked, name)
            if moment is not None and moment.tzinfo is None:
                raise InvalidValue(
                    f"{self.name}.{name}: {moment!r} has no time zone, so it has no place in an "
                    "index or expiry; use datetime.now(UTC) or alike"
                )
        if self.version is not None:
            force_setattr(checked, self.version, timestamp)
            raw = _encode(checked)
        if len(raw) > self.limits.value_bytes:
            raise LimitExceeded(
                f"{self.shown(self.key_values(checked))} has {len(raw)} bytes, beyond value_bytes="
                f"{self.limits.value_bytes}; keep large parts in records of their own"
            )
        return checked, raw

    def expiry(self, record: R) -> int | None:
        """The timestamp from which a record is gone; `None` for never."""
        moment = getattr(record, self.expires) if self.expires is not None else None
        return None if moment is None else from_datetime(moment)

    def _refusal(self, record: R, error: Exception) -> InvalidValue:
        """Which field it was, and what it held."""
        for field in self.kind.fields:
            value = getattr(record, field.attribute)
            why = self._objection(field.attribute, value)
            if why is not None:
                return InvalidValue(
                    f"{self.name}.{field.attribute}: {value!r:.200} of type "
                    f"{type(value).__name__} does not fit {field.shape} ({why})"
                )
        return InvalidValue(f"{record!r:.300} cannot be stored as {self.name}: {error}")

    def _objection(self, attribute: str, value: object) -> str | None:
        hint = self.kind.hints[attribute]
        try:
            Decoder(hint).decode(_encode(value))
        except UnicodeEncodeError:
            return "it holds a lone surrogate; keep os.fsencode(name) in a bytes field instead"
        except _WRONG_VALUE as error:
            return str(error)
        return None

    def read(self, key: bytes, raw: bytes) -> R:
        """A stored record; `StoreDamaged` names the key of one that its class cannot read."""
        try:
            record = self.decode(raw)
        except MsgspecError as error:
            self._unreadable(key, error)
        if self.stamp is not None:
            force_setattr(record, self.stamp, key[-Versionstamp.BYTES :])
        return record

    def read_page(self, entries: Sequence[tuple[bytes, bytes]]) -> list[R]:
        """The records of clustered entries, decoded in one call."""
        page = _ARRAY + len(entries).to_bytes(4, "big") + b"".join([raw for _, raw in entries])
        try:
            records = self._decode_list(page)
        except MsgspecError:
            return [self.read(key, raw) for key, raw in entries]
        if self.stamp is not None:
            for (key, _raw), record in zip(entries, records, strict=True):
                force_setattr(record, self.stamp, key[-Versionstamp.BYTES :])
        return records

    def _unreadable(self, key: bytes, error: Exception) -> NoReturn:
        raise StoreDamaged(
            f"the record at key {key!r} cannot be read as {self.name}: {error}; `fastness check` "
            "tells whether more is wrong"
        ) from error

    def owner_of(self, index: IndexPlan, entry: bytes) -> bytes:
        """The record key an index entry's value leads to."""
        return self.record_key(self.decode(entry)) if index.clustered else RECORDS + entry
