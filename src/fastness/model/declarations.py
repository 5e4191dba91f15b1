"""How records are declared: `Entity`, `Association`, and what stands in their bodies.

A record class is a `msgspec.Struct` with keyword-only fields. Its class keywords say how it
is found (`key`), what it is stored beside (`partition`) and when it ends (`expires`);
indexes, totals and references are plain class attributes::

    class File(Entity, key=("space", "id"), partition="space"):
        space: int
        id: int
        folder: int
        name: str
        size: int = 0
        modified: datetime
        by_name = Index("space", "folder", "name", unique=True, clustered=True)
        recent = Index("space", desc("modified"))
        bytes_used = Sum("size", "space")
        parent = Reference(lambda: Folder, "space", "folder")

What can be checked by name is checked when the class is made (`SchemaError` then); what
needs the types of the fields waits until the class is first used, because they may refer
to classes declared later. `fastness.model.kinds` does that part.

A class without `key` (an association without both ends) is abstract: it can only be
inherited from. Nothing here knows of storage; the parts are those of `fastness.model.parts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from difflib import get_close_matches
from typing import Any, ClassVar, TypeAlias, TypeVar, dataclass_transform

from msgspec import Struct, StructMeta, field

from fastness.errors import SchemaError
from fastness.model.parts import (
    Count,
    Declaration,
    Index,
    IndexOf,
    Part,
    PrimaryKey,
    Reference,
    ReferenceOf,
)

Names: TypeAlias = str | tuple[str, ...]
Made = TypeVar("Made", bound="RecordType")

_RESERVED_FIELDS = (
    "if_version",
    "by_key",
    "by_source",
    "by_target",
    "source_count",
    "target_count",
)
"""Names the library gives a meaning of its own in `patch` and in class bodies."""


def _names(given: Names) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _refuse_concrete_base(name: str, base: type) -> None:
    if "__declaration__" in vars(base):
        raise SchemaError(
            f"class {name} derives from {base.__name__}, which is stored itself; put the fields "
            "they share into a base class without a key"
        )


def _inherited_parts(bases: tuple[type, ...]) -> dict[str, Part[Any]]:
    """Parts of abstract bases, copied: each concrete class binds its own."""
    found: dict[str, Part[Any]] = {}
    for ancestor in reversed([ancestor for base in bases for ancestor in base.__mro__]):
        if ancestor.__module__ != __name__:
            found |= {n: copy(part) for n, part in vars(ancestor).items() if isinstance(part, Part)}
    return found


def _ends(
    bases: tuple[type, ...], parts: dict[str, Part[Any]]
) -> tuple[Reference[Any], Reference[Any]] | None:
    """Source and target of an association class; `None` for an entity or an abstract base."""
    if not any(getattr(base, "__association__", False) for base in bases):
        return None
    source, target = parts.get("source"), parts.get("target")
    if isinstance(source, Reference) and isinstance(target, Reference):
        return source, target
    return None


def _association_parts(
    key: tuple[str, ...], ends: tuple[Reference[Any], Reference[Any]], *, with_counts: bool
) -> dict[str, Part[Any]]:
    source, target = ends
    made: dict[str, Part[Any]] = {
        "by_source": _from_end(source.columns, key),
        "by_target": _from_end(target.columns, key),
    }
    if with_counts:
        made["source_count"] = Count(*source.columns)
        made["target_count"] = Count(*target.columns)
    return made


def _from_end(end: tuple[str, ...], key: tuple[str, ...]) -> IndexOf[Any]:
    """The listing from one end: the primary key itself where that begins with the end."""
    if key[: len(end)] == end:
        return PrimaryKey(key)
    rest = (field_name for field_name in key if field_name not in end)
    return Index(*end, *rest, clustered=True)


def _bind(kind: RecordType, parts: dict[str, Part[Any]]) -> None:
    for name, part in parts.items():
        part.owner = kind
        part.name = name


def _require_sound(kind: RecordType, declaration: Declaration, parts: dict[str, Part[Any]]) -> None:
    """What names alone can tell: every field spoken of exists, no reserved name is used."""
    _require_fields(kind, _spoken_of(declaration, parts))
    key, partition = declaration.key, declaration.partition
    if len(set(key)) != len(key):
        raise SchemaError(f"{kind.__name__}: key {key!r} names a field twice")
    if key[: len(partition)] != partition:
        raise SchemaError(
            f"{kind.__name__}: partition {partition!r} must be the first fields of key {key!r}, "
            "because a record is found by its key alone"
        )
    for name in declaration.removed:
        if name in kind.__struct_encode_fields__:
            raise SchemaError(f"{kind.__name__}: field {name!r} is declared and listed as removed")
    for name, part in parts.items():
        if name in kind.__struct_fields__:
            raise SchemaError(
                f"{kind.__name__}.{name} is annotated as a field and is {part!r}; leave the "
                "annotation away, or give one of them another name"
            )
        _require_sound_part(part)
        if name in ("source", "target") and not set(part.field_names()) <= set(key):
            raise SchemaError(f"{part!r}: its fields must all be part of the key {key!r}")


def _require_fields(kind: RecordType, spoken_of: Iterator[tuple[str, tuple[str, ...]]]) -> None:
    fields = kind.__struct_fields__
    for reserved in _RESERVED_FIELDS:
        if reserved in fields:
            raise SchemaError(f"{kind.__name__}.{reserved}: this name is taken; rename the field")
    for place, names in spoken_of:
        for name in names:
            if name not in fields:
                raise SchemaError(
                    f"{kind.__name__}: {place} names {name!r}, which is not a field"
                    f"{_near(name, fields)}"
                )


def _spoken_of(
    declaration: Declaration, parts: dict[str, Part[Any]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "key", declaration.key
    yield "partition", declaration.partition
    yield "expires", (declaration.expires,) if declaration.expires is not None else ()
    for name, part in parts.items():
        yield name, tuple(part.field_names())


def _near(name: str, fields: tuple[str, ...]) -> str:
    close = get_close_matches(name, fields, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; it has {', '.join(fields)}"


def _require_sound_part(part: Part[Any]) -> None:
    if isinstance(part, IndexOf):
        named = [column.field for column in part.columns]
        if not named:
            raise SchemaError(f"{part!r} has no columns; Index('field', ...) takes at least one")
        if len(set(named)) != len(named):
            raise SchemaError(f"{part!r} names a field twice: {', '.join(named)}")
        if sum(column.each for column in part.columns) > 1:
            raise SchemaError(
                f"{part!r} has more than one each() column; declare one index per field"
            )
    if isinstance(part, ReferenceOf) and not part.columns:
        raise SchemaError(f"{part!r} names no fields; Reference(Target, 'field', ...) takes them")


class RecordType(StructMeta):
    """The metaclass of record classes: reads the class keywords and binds the parts."""

    def __new__(  # noqa: PLR0913, PYI019 - class keywords; metaclasses have no Self
        mcls: type[Made],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        key: Names = (),
        kind: str | None = None,
        partition: Names = (),
        area: str | None = None,
        expires: str | None = None,
        removed: Names = (),
        counted: bool | None = None,
        kw_only: bool = True,
        **config: Any,  # noqa: ANN401 - msgspec's, checked there
    ) -> Made:
        """Make the class; `SchemaError` for keywords and parts that do not fit its fields.

        `config` are msgspec's own class keywords: `frozen`, `gc`, `omit_defaults`, ...
        """
        for base in bases:
            _refuse_concrete_base(name, base)
        parts = _inherited_parts(bases) | {
            attribute: part for attribute, part in namespace.items() if isinstance(part, Part)
        }
        keys = _names(key)
        ends = _ends(bases, parts)
        if ends is not None:
            keys = keys or tuple(dict.fromkeys((*ends[0].columns, *ends[1].columns)))
            with_counts = expires is None if counted is None else counted
            parts |= _association_parts(keys, ends, with_counts=with_counts)
        if not keys:
            return super().__new__(mcls, name, bases, namespace, kw_only=kw_only, **config)
        parts["by_key"] = PrimaryKey(keys)
        partitions = _names(partition)
        declaration = Declaration(
            kind=name if kind is None else kind,
            key=keys,
            partition=partitions,
            area=area or (partitions[0] if partitions else ""),
            expires=expires,
            removed=_names(removed),
        )
        namespace = {**namespace, **parts, "__declaration__": declaration}
        made = super().__new__(mcls, name, bases, namespace, kw_only=kw_only, **config)
        _bind(made, parts)
        _require_sound(made, declaration, parts)
        return made


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Record(Struct, metaclass=RecordType, gc=False):
    """What entities and associations share. Declare one of those.

    Records are trees that can be stored, so the garbage collector need not look for cycles
    among them (`gc=False`): a page of a thousand is made a good deal faster.
    """

    __kind__: ClassVar[Any]
    """What `fastness.model.kinds` has made of a concrete class."""
    by_key = PrimaryKey()


class Entity(Record):
    """A record found by its own key. See `fastness.model` for the manual."""


class Association(Record):
    """A record that connects two others and is listed and counted from both ends.

    Declare `source` and `target` as references; together their columns are the key. Made
    for each class: `by_source` and `by_target`, both clustered, and the totals
    `source_count` and `target_count` (left out with ``counted=False``, and by default
    where records expire).
    """

    # `source` and `target` are not annotated here: mypy would take their type from here, and
    # no longer know which class the reference of a subclass leads to.
    __association__: ClassVar[bool] = True
    by_source = Index(clustered=True)
    by_target = Index(clustered=True)
    source_count = Count()
    target_count = Count()


def parts_of(kind: type[Record]) -> dict[str, Part[Any]]:
    """The indexes, totals and references of a class by name, in the order declared."""
    return {name: part for name, part in vars(kind).items() if isinstance(part, Part)}
