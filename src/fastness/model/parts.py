"""What stands in the body of a record class: columns, indexes, totals and references.

They are plain class attributes. Each is declared as one class and seen as another: `Index`
as `IndexOf[User]`, so that editors and mypy know from ``User.by_email`` what a query
returns. The metaclass in `fastness.model.declarations` binds a part to its class and name.

Nothing here knows of storage or of the types of fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeAlias, TypeVar
from uuid import UUID

from msgspec import Struct

from fastness.errors import SchemaError

KeyValue: TypeAlias = str | bytes | int | float | bool | UUID | datetime | date | Enum
"""What a field of a key or of an index may hold; index fields may be `None` too."""

R = TypeVar("R", bound=Struct)
T = TypeVar("T", bound=Struct)


class VersionMark:
    """Marks the field that holds an entity's version."""


class StampMark:
    """Marks the key field that the commit fills in."""


Version = Annotated[int, VersionMark()]
"""The type of a version field: `version: Version = 0`.

The library sets it at every write to the read timestamp of the writing transaction. Two
different stored values of one entity never share a version, not even after the entity was
removed and inserted again, because each writer reads the entity at its own timestamp.
0 means: never stored.
"""

Stamp = Annotated[bytes, StampMark()]
"""The type of the last key field of a log: `at: Stamp = UNSTAMPED`.

Twelve bytes that order records as they were committed; known only after the commit.
"""

UNSTAMPED: Final = b""
"""A stamp that the commit is to fill in."""


class _Present(Enum):
    PRESENT = "present"


PRESENT: Final = _Present.PRESENT
"""In a `where` condition: the field is not `None`."""

Conditions: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an index: a field, its order, and whether each of its elements counts."""

    field: str
    descending: bool = False
    each: bool = False

    def __str__(self) -> str:
        if self.descending:
            return f"desc({self.field})"
        return f"each({self.field})" if self.each else self.field


def desc(field_name: str) -> Column:
    """A column in descending order: the largest value is listed first."""
    return Column(field_name, descending=True)


def each(field_name: str) -> Column:
    """A column with one index entry for every element of a list, tuple or set field."""
    return Column(field_name, each=True)


class Part(Generic[R]):
    """What an index, a total and a reference share: a class attribute of a record class."""

    owner: type[R]
    name: str

    def __repr__(self) -> str:
        if "owner" not in self.__dict__:
            return f"<{type(self).__name__} outside of a record class>"
        return f"{self.owner.__name__}.{self.name}"

    def field_names(self) -> Iterator[str]:
        """The fields of the class this part speaks of."""
        raise NotImplementedError


class IndexOf(Part[R]):
    """An index of the record class `R`: what `tx.query` and its like take."""

    columns: tuple[Column, ...]
    unique: bool
    clustered: bool
    where: Conditions

    def field_names(self) -> Iterator[str]:
        """Columns and conditions."""
        yield from (column.field for column in self.columns)
        yield from self.where


class Index(IndexOf[Any]):
    """Declares a secondary index: records in the order of `columns`, then of their key.

    `columns` are field names, `desc(...)` or `each(...)`. `unique`: no two records hold the
    same values; records where one of them is `None` are exempt. `clustered`: entries carry
    the whole record, so that a listing needs no lookup per entry (costs space, and a write
    whenever the record changes). `where`: only records whose fields equal these values;
    `None` stands for absent, `PRESENT` for not `None`.
    """

    def __init__(
        self,
        *columns: str | Column,
        unique: bool = False,
        clustered: bool = False,
        where: Conditions | None = None,
    ) -> None:
        self.columns = tuple(
            column if isinstance(column, Column) else Column(column) for column in columns
        )
        self.unique = unique
        self.clustered = clustered
        self.where = dict(where or {})

    if TYPE_CHECKING:
        # Editors and mypy learn here which class an index belongs to. At run time the
        # attribute is the index itself, without the cost of a descriptor.
        def __get__(self, instance: object, owner: type[R]) -> IndexOf[R]: ...


class PrimaryKey(IndexOf[Any]):
    """The order of the primary key, as `by_key` of each class. Always clustered."""

    unique = True
    clustered = True

    def __init__(self, columns: tuple[str, ...] = ()) -> None:
        self.columns = tuple(Column(column) for column in columns)
        self.where = {}

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type[R]) -> IndexOf[R]: ...


class TotalOf(Part[R]):
    """A maintained number per group of records of class `R`: what `tx.total` takes."""

    group: tuple[str, ...]
    summed: str | None
    """The field summed up; `None` counts records."""
    where: Conditions

    def field_names(self) -> Iterator[str]:
        """The group, the field summed up, and conditions."""
        yield from self.group
        if self.summed is not None:
            yield self.summed
        yield from self.where


class Count(TotalOf[Any]):
    """Declares how many records share the values of the `group` fields (none: all records).

    Kept by atomic additions in the writing transaction: writers never conflict on it.
    """

    summed = None

    def __init__(self, *group: str, where: Conditions | None = None) -> None:
        self.group = group
        self.where = dict(where or {})

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type[R]) -> TotalOf[R]: ...


class Sum(TotalOf[Any]):
    """Declares the sum of an `int` field over the records that share the `group` fields.

    `None` counts as 0. Kept as `Count` is; a sum beyond 63 bits is refused.
    """

    def __init__(self, summed: str, *group: str, where: Conditions | None = None) -> None:
        self.summed = summed
        self.group = group
        self.where = dict(where or {})

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type[R]) -> TotalOf[R]: ...


class ReferenceOf(Part[R], Generic[R, T]):
    """A reference from records of class `R` to records of class `T`: what `tx.follow` takes."""

    columns: tuple[str, ...]

    def target(self) -> type[T]:
        """The class referred to."""
        raise NotImplementedError

    def field_names(self) -> Iterator[str]:
        """The fields that hold the key of the target."""
        yield from self.columns


class Reference(ReferenceOf[Any, T]):
    """Declares that `columns` hold the primary key of a record of class `target`.

    `target` is the class, or a function that returns it (``lambda: Folder``) where it is
    declared later or is the class itself. The types of the columns must be those of the
    target's key; a column may be optional, and the reference is empty where it is `None`.
    """

    def __init__(self, target: type[T] | Callable[[], type[T]], *columns: str) -> None:
        self._target = target
        self.columns = columns

    def target(self) -> type[T]:
        """The class referred to; `SchemaError` if it is not a record class with a key."""
        found: Any = self._target
        if not isinstance(found, type):
            found = found()
        declaration_of(found)
        target: type[T] = found
        return target

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type[R]) -> ReferenceOf[R, T]: ...


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the class keywords of a concrete record class say, defaults filled in."""

    kind: str
    key: tuple[str, ...]
    partition: tuple[str, ...]
    area: str
    """The group of kinds whose partitions lie together; empty without a partition."""
    expires: str | None
    removed: tuple[str, ...]
    """Fields that stored records may still hold and the class gave up."""


def declaration_of(kind: object) -> Declaration:
    """The declaration of a concrete record class; `SchemaError` for anything else."""
    found = vars(kind).get("__declaration__") if isinstance(kind, type) else None
    if not isinstance(found, Declaration):
        raise SchemaError(
            f"{kind!r} is not a record class that can be stored: derive it from Entity and give "
            "it a key (class User(Entity, key='id')), or from Association with source and target"
        )
    return found
