"""The shape of stored values: what the schema registry remembers of a type.

A `Shape` describes what bytes a type may have written, without the Python classes: enough to
tell whether another type reads them without misreading (`fastness.model.fitting`), and to
make classes again from the registry alone (`fastness.model.rebuilding`).

Shapes are taken from `msgspec.inspect`. A type that contains itself has no finite shape
here and is refused; types that only a custom hook could encode are refused too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import NODEFAULT, Struct, inspect
from msgspec.msgpack import Encoder

from fastness.errors import SchemaError

Constant: TypeAlias = str | int | float | bool | None

_FACTORIES = (list, dict, set, frozenset, tuple, bytearray, bytes, str)
"""Default factories that give an equal value each time."""

_deterministic = Encoder(order="deterministic")


class Shape(Struct, frozen=True, omit_defaults=True):
    """One type: its wire form, its constraints and what it is made of."""

    type: str
    """Such as 'int', 'list', 'struct', 'union', 'enum'."""
    of: tuple[Shape, ...] = ()
    """Elements of a container, key and value of a dict, members of a union."""
    limits: dict[str, Constant] = {}
    """Constraints of `msgspec.Meta`: ge, max_length, pattern, tz, ..."""
    values: tuple[str | int | None, ...] = ()
    """What an enum or a literal may be."""
    members: tuple[str, ...] = ()
    """The names of an enum's values."""
    name: str = ""
    """Of an enum or a structure."""
    fields: tuple[FieldShape, ...] = ()
    removed: tuple[FieldShape, ...] = ()
    """Fields of a structure that it gave up; stored values may still hold them."""
    array_like: bool = False
    """Whether a structure is stored as an array, its fields told apart by position."""
    tag_field: str | None = None
    tag: str | int | None = None

    def __str__(self) -> str:
        """The type as an error message names it."""
        if self.type == "union":
            return " | ".join(str(member) for member in self.of)
        if self.type in ("enum", "struct"):
            return self.name
        if self.type == "literal":
            return f"Literal[{', '.join(repr(value) for value in self.values)}]"
        text = self.type
        if self.of:
            text += f"[{', '.join(str(element) for element in self.of)}]"
        if self.limits:
            text += f" ({', '.join(f'{name}={value!r}' for name, value in self.limits.items())})"
        return text


class FieldShape(Struct, frozen=True, omit_defaults=True):
    """One field of a structure or of a record."""

    name: str
    """As stored."""
    attribute: str
    """As the class calls it."""
    shape: Shape
    required: bool = True
    default: bytes | None = None
    """The default, encoded; `None` where it is required or not the same each time."""
    sparse: bool = False
    """Whether some stored records may lack it, so that its default stands for stored data."""


_SCALARS: dict[type[inspect.Type], str] = {
    inspect.AnyType: "any",
    inspect.NoneType: "None",
    inspect.BoolType: "bool",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.StrType: "str",
    inspect.BytesType: "bytes",
    inspect.ByteArrayType: "bytes",
    inspect.DateTimeType: "datetime",
    inspect.DateType: "date",
    inspect.TimeType: "time",
    inspect.TimeDeltaType: "timedelta",
    inspect.UUIDType: "uuid",
    inspect.DecimalType: "decimal",
}
_CONTAINERS: dict[type[inspect.Type], str] = {
    inspect.CollectionType: "list",
    inspect.ListType: "list",
    inspect.VarTupleType: "list",
    inspect.SetType: "set",
    inspect.FrozenSetType: "set",
}
_STRUCTURES = (
    inspect.StructType,
    inspect.DataclassType,
    inspect.TypedDictType,
    inspect.NamedTupleType,
)
_LIMIT_NAMES = (
    "gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz",
)  # fmt: skip


def fields_of(structure: type, place: str) -> tuple[FieldShape, ...]:
    """The fields of a Struct class; `SchemaError` names a field that cannot be stored."""
    try:
        found = inspect.type_info(structure)
    except (TypeError, NameError) as cause:
        raise SchemaError(f"{place}: {cause}") from cause
    return tuple(_fields(found, place, (structure,)))


def _fields(
    structure: Any,  # noqa: ANN401 - four classes without a common base
    place: str,
    inside: tuple[type, ...],
) -> Iterator[FieldShape]:
    config = getattr(structure.cls, "__struct_config__", None)
    omits = config is not None and config.omit_defaults
    for field in structure.fields:
        shape = _shape(field.type, f"{place}.{field.name}", inside)
        yield FieldShape(
            name=field.encode_name,
            attribute=field.name,
            shape=shape,
            required=field.required,
            default=None if field.required else _default(field),
            sparse=omits and not field.required,
        )


def _default(field: inspect.Field) -> bytes | None:
    if field.default is not NODEFAULT:
        return _deterministic.encode(field.default)
    factory: Any = field.default_factory
    if factory is NODEFAULT:
        return b""  # a key that a TypedDict may lack: its absence is its default
    if factory in _FACTORIES or (isinstance(factory, type) and issubclass(factory, Struct)):
        return _deterministic.encode(factory())
    return None


def _shape(found: inspect.Type, place: str, inside: tuple[type, ...]) -> Shape:
    """The shape of one type; `inside` are the structures around it."""
    if isinstance(found, inspect.Metadata):
        return _shape(found.type, place, inside)
    kind = type(found)
    if kind in _SCALARS:
        return Shape(_SCALARS[kind], limits=_limits(found))
    if kind in _CONTAINERS:
        item = _shape(found.item_type, place + "[]", inside)  # type: ignore[attr-defined]  # all have it
        return Shape(_CONTAINERS[kind], of=(item,), limits=_limits(found))
    if isinstance(found, _STRUCTURES):
        return _structure(found, place, inside)
    return _composite(found, place, inside)


def _composite(found: inspect.Type, place: str, inside: tuple[type, ...]) -> Shape:
    if isinstance(found, inspect.UnionType):
        return Shape("union", of=tuple(_shape(member, place, inside) for member in found.types))
    if isinstance(found, inspect.TupleType):
        items = (_shape(item, f"{place}[]", inside) for item in found.item_types)
        return Shape("tuple", of=tuple(items))
    if isinstance(found, inspect.DictType | inspect.FrozenDictType):
        pair = (found.key_type, found.value_type)
        of = tuple(_shape(part, f"{place}[]", inside) for part in pair)
        return Shape("dict", of=of, limits=_limits(found))
    if isinstance(found, inspect.EnumType):
        members = list(found.cls)
        return Shape(
            "enum",
            name=found.cls.__name__,
            values=tuple(member.value for member in members),
            members=tuple(member.name for member in members),
        )
    if isinstance(found, inspect.LiteralType):
        return Shape("literal", values=tuple(found.values))
    raise SchemaError(
        f"{place}: {getattr(found, 'cls', type(found).__name__)!r} cannot be stored; use a type "
        "msgspec supports by itself (str, bytes, numbers, datetime, UUID, Decimal, enums, lists, "
        "dicts, Struct, dataclasses)"
    )


def _structure(
    found: Any,  # noqa: ANN401 - four classes without a common base
    place: str,
    inside: tuple[type, ...],
) -> Shape:
    if found.cls in inside:
        raise SchemaError(
            f"{place}: {found.cls.__name__} contains itself; store the inner part as bytes, as "
            "dict[str, Any], or as records of a kind of its own"
        )
    return Shape(
        "struct",
        name=found.cls.__name__,
        fields=tuple(_fields(found, place, (*inside, found.cls))),
        array_like=isinstance(found, inspect.NamedTupleType) or getattr(found, "array_like", False),
        tag_field=getattr(found, "tag_field", None),
        tag=getattr(found, "tag", None),
    )


def _limits(found: inspect.Type) -> dict[str, Constant]:
    limits = {name: getattr(found, name, None) for name in _LIMIT_NAMES}
    return {name: value for name, value in limits.items() if value is not None}
