"""Fields as parts of keys: which element of a tuple key stands for a field's value.

==============  =======================================  =======================
field           element of the key                       order
==============  =======================================  =======================
str, bytes      itself                                   by UTF-8, by byte
int             itself                                   by value
float           itself                                   IEEE 754's total order
bool, UUID      itself
datetime        int: microseconds since the epoch, UTC   by moment
date            int: days since 1970-01-01               by day
enum of str     its value                                by value
enum of int     its value                                by value
stamp           a versionstamp                           by commit
`None`          null, below everything                   first; last if descending
==============  =======================================  =======================

A `ColumnCodec` turns values into elements in two ways: `expression` is source text for the
generated functions of `fastness.model.compiling`, for values already checked against the
field's type; `element` takes what a caller passed to a query and checks it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

from msgspec import inspect

from fastness.encoding.elements import Versionstamp
from fastness.encoding.tuples import ENCODERS, Encoder
from fastness.errors import InvalidKey, InvalidValue, SchemaError

NULL = b"\x00"
STAMP_CODE = b"\x33"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)

pack_text = ENCODERS[str]
pack_integer = ENCODERS[int]


def pack_moment(value: datetime) -> bytes:
    """A datetime with a time zone, to the microsecond."""
    try:
        since = value - _EPOCH
    except TypeError:
        raise InvalidValue(
            f"{value!r} has no time zone, so it has no place in an index; use datetime.now(UTC)"
        ) from None
    return pack_integer((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def pack_day(value: date) -> bytes:
    """A date."""
    return pack_integer(value.toordinal() - _EPOCH_DAY)


def pack_stamp(value: bytes) -> bytes:
    """The twelve bytes of a stamp that a commit has filled in."""
    if len(value) != Versionstamp.BYTES:
        raise InvalidKey(f"{value!r} is not a stamp of {Versionstamp.BYTES} bytes")
    return STAMP_CODE + value


class ColumnCodec(NamedTuple):
    """How values of one field stand in keys."""

    name: str
    """The element's meaning: str, int, bytes, float, bool, uuid, datetime, date or stamp."""
    nullable: bool
    choice: type[Enum] | None = None
    """The enum whose members the values are."""

    def expression(self, value: str) -> str:
        """Source text that packs `value`, which is source text of a checked value."""
        inner = f"{value}._value_" if self.choice is not None else value
        packed = f"pack_{self.name}({inner})"
        return f"(NULL if {value} is None else {packed})" if self.nullable else packed

    @property
    def quick_type(self) -> type | None:
        """The exact type of an argument that `expression` may take unchecked, if there is one."""
        if self.choice is not None:
            return self.choice
        return None if self.name in ("datetime", "stamp") else _TYPES[self.name][0]

    def element(self, value: object, place: str) -> Any:  # noqa: ANN401 - an element of a tuple key
        """The value as a key holds it; `InvalidKey` names `place` and shows what was given."""
        if value is None:
            return None if self.nullable else _refuse(place, value, self)
        if self.choice is not None:
            return self._choice_value(value, place)
        expected, refused = _TYPES[self.name]
        if not isinstance(value, expected) or isinstance(value, refused):
            if self.name == "float" and type(value) is int:
                return float(value)
            _refuse(place, value, self)
        if isinstance(value, datetime) and value.tzinfo is None:
            raise InvalidKey(f"{place}: {value!r} has no time zone; use datetime.now(UTC) or alike")
        return value

    def _choice_value(self, value: object, place: str) -> object:
        choice = self.choice
        if choice is None or isinstance(value, choice):
            return value
        try:
            return choice(value)
        except ValueError:
            _refuse(place, value, self)

    def pack(self, value: object, place: str) -> bytes:
        """The packed element of a value a caller gave."""
        element = self.element(value, place)
        if element is None:
            return NULL
        return PACKERS[self.name](element.value if self.choice is not None else element)

    def restored(self, element: object) -> Any:  # noqa: ANN401 - a value of the field
        """The field's value of an element read from a key."""
        if element is None:
            return None
        if self.choice is not None:
            return self.choice(element)
        if self.name == "datetime" and isinstance(element, int):
            return _EPOCH + element * _MICROSECOND
        if self.name == "date" and isinstance(element, int):
            return date.fromordinal(element + _EPOCH_DAY)
        if isinstance(element, Versionstamp):
            return element.to_bytes()
        return element


PACKERS: dict[str, Encoder] = {
    "str": pack_text,
    "bytes": ENCODERS[bytes],
    "int": pack_integer,
    "float": ENCODERS[float],
    "bool": ENCODERS[bool],
    "uuid": ENCODERS[UUID],
    "datetime": pack_moment,
    "date": pack_day,
    "stamp": pack_stamp,
}

_TYPES: dict[str, tuple[type, tuple[type, ...]]] = {
    "str": (str, ()),
    "bytes": (bytes, ()),
    "int": (int, (bool,)),
    "float": (float, ()),
    "bool": (bool, ()),
    "uuid": (UUID, ()),
    "datetime": (datetime, ()),
    "date": (date, (datetime,)),
    "stamp": (bytes, ()),
}
"""The Python type of each, and subclasses of it that mean something else."""

_CODES: dict[type[inspect.Type], str] = {
    inspect.StrType: "str",
    inspect.BytesType: "bytes",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.BoolType: "bool",
    inspect.UUIDType: "uuid",
    inspect.DateTimeType: "datetime",
    inspect.DateType: "date",
}


def _refuse(place: str, value: object, codec: ColumnCodec) -> NoReturn:
    name = codec.choice.__name__ if codec.choice is not None else codec.name
    raise InvalidKey(
        f"{place}: {value!r:.200} of type {type(value).__name__} is not "
        f"{name}{' or None' if codec.nullable else ''}"
    )


def codec_of(found: inspect.Type, place: str) -> ColumnCodec:
    """The codec of a field's type; `SchemaError` for a type no key can hold."""
    if isinstance(found, inspect.Metadata):
        return codec_of(found.type, place)
    if isinstance(found, inspect.UnionType):
        rest = [member for member in found.types if not isinstance(member, inspect.NoneType)]
        if len(rest) == 1 and len(found.types) == 2:
            return codec_of(rest[0], place)._replace(nullable=True)
    if isinstance(found, inspect.EnumType):
        kinds = {type(member.value) for member in found.cls}
        if len(kinds) == 1 and (kind := kinds.pop()) in (str, int):
            return ColumnCodec(kind.__name__, nullable=False, choice=found.cls)
    if isinstance(found, inspect.LiteralType):
        kinds = {type(value) for value in found.values}
        if len(kinds) == 1:
            return ColumnCodec(kinds.pop().__name__, nullable=False)
    code = _CODES.get(type(found))
    if code is None:
        raise SchemaError(
            f"{place}: a key or index holds str, bytes, int, float, bool, UUID, datetime, date, an "
            f"enum of str or int, or one of these or None, not {type(found).__name__}"
        )
    return ColumnCodec(code, nullable=False)


def element_codec_of(found: inspect.Type, place: str) -> ColumnCodec:
    """The codec of the elements of a list, tuple or set field, for an `each` column."""
    if isinstance(found, inspect.Metadata):
        return element_codec_of(found.type, place)
    items = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)
    if not isinstance(found, items):
        raise SchemaError(f"{place}: each() takes a list, set or tuple[T, ...] field")
    return codec_of(found.item_type, place)
