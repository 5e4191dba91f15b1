"""The schema of one database as a process sees it: which classes it knows, bound to plans.

A `Schema` never changes. A transaction takes the database's current one when it begins, and
notices through the registry's version when another has replaced it meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from fastness.errors import SchemaError
from fastness.limits import Limits
from fastness.model.compiling import reference_packer
from fastness.model.declarations import Record, parts_of
from fastness.model.kinds import Kind, kind_of, reference_codecs
from fastness.model.parts import IndexOf, PrimaryKey, ReferenceOf, TotalOf
from fastness.model.plans import IndexPlan, KindPlan, TotalPlan
from fastness.model.stored import Catalog, StoredKind

R = TypeVar("R", bound=Record)


class Schema:
    """The kinds registered with one database, by class, index, total and reference."""

    def __init__(
        self,
        version: int = 0,
        catalog: Catalog | None = None,
        stored: Iterable[StoredKind] = (),
        limits: Limits | None = None,
    ) -> None:
        """The registry's contents; `bind` adds the classes."""
        self.version = version
        self.catalog = catalog or Catalog()
        self.stored = {kind.name: kind for kind in stored}
        self.limits = limits or Limits()
        self.plans: dict[type, KindPlan[Any]] = {}
        self.by_name: dict[str, KindPlan[Any]] = {}
        self.indexes: dict[IndexOf[Any], IndexPlan] = {}
        self.totals: dict[TotalOf[Any], TotalPlan] = {}
        self._references: dict[ReferenceOf[Any, Any], Callable[[Any], bytes | None]] = {}

    def bind(self, kinds: Iterable[Kind]) -> Schema:
        """Bind classes whose rows the registry holds. For the one who makes the schema."""
        for kind in kinds:
            plan: KindPlan[Any] = KindPlan(kind, self.stored[kind.name], self.catalog, self.limits)
            self.plans[kind.record] = self.by_name[kind.name] = plan
            secondary = {index.definition.part: index for index in plan.indexes if index.definition}
            totals = {total.definition.part: total for total in plan.totals}
            for part in parts_of(kind.record).values():
                if isinstance(part, PrimaryKey):
                    self.indexes[part] = plan.primary
                elif isinstance(part, IndexOf):
                    self.indexes[part] = secondary[part]
                elif isinstance(part, TotalOf):
                    self.totals[part] = totals[part]
        return self

    def pending(self) -> list[IndexPlan | TotalPlan]:
        """The indexes and totals of bound kinds that are still to be built."""
        tables: list[IndexPlan | TotalPlan] = []
        for plan in self.plans.values():
            tables += plan.indexes
            tables += plan.totals
        return [table for table in tables if not table.is_readable]

    def is_readable(self, part: IndexOf[Any] | TotalOf[Any]) -> bool:
        """Whether an index or total may be read now."""
        return (self.index(part) if isinstance(part, IndexOf) else self.total(part)).is_readable

    def plan(self, record: type[R]) -> KindPlan[R]:
        """The plan of a class; `SchemaError` for one not registered."""
        try:
            return self.plans[record]
        except KeyError:
            raise self._unknown(record) from None

    def index(self, part: IndexOf[Any]) -> IndexPlan:
        """The plan of an index."""
        try:
            return self.indexes[part]
        except KeyError:
            raise self._unknown_part(part, IndexOf, "an index, such as User.by_email") from None

    def total(self, part: TotalOf[Any]) -> TotalPlan:
        """The plan of a count or sum."""
        try:
            return self.totals[part]
        except KeyError:
            raise self._unknown_part(part, TotalOf, "a Count or Sum of a class") from None

    def reference(self, part: ReferenceOf[Any, Any]) -> Callable[[Any], bytes | None]:
        """A function from a record to the record key it refers to."""
        packer = self._references.get(part)
        if packer is None:
            if not isinstance(part, ReferenceOf):
                raise self._unknown_part(part, ReferenceOf, "a Reference of a class")
            columns = tuple(reference_codecs(part))
            packer = reference_packer(self.plan(part.target()).place, columns)
            self._references[part] = packer
        return packer

    def _unknown_part(self, part: object, kind: type, wanted: str) -> SchemaError:
        owner = getattr(part, "owner", None)
        if not isinstance(part, kind):
            return SchemaError(f"{part!r} is not {wanted}")
        if owner is None:
            return SchemaError(
                f"{part!r} is not kept: name it through a class that can be stored, and declare it "
                "there (an association that expires, or is counted=False, has no counts)"
            )
        return self._unknown(owner)

    def _unknown(self, record: object) -> SchemaError:
        if isinstance(record, type) and issubclass(record, Record):
            name = record.__name__
            return SchemaError(
                f"{name} is not registered with this database: open it with schema=[{name}, ...] "
                f"or call db.use({name})"
            )
        return SchemaError(
            f"{record!r:.200} is not a record class (Entity or Association) or a record of one"
        )


class Registration(NamedTuple):
    """What became of registering classes."""

    schema: Schema
    """To be given to transactions from now on."""
    changes: list[str]
    """In words, one line each; empty when the registry knew everything."""


def kinds_of(classes: Iterable[type[Record]]) -> list[Kind]:
    """The kinds of classes; `SchemaError` where two share a stored name."""
    found: dict[str, Kind] = {}
    for record in dict.fromkeys(classes):
        kind = kind_of(record)
        other = found.setdefault(kind.name, kind)
        if other is not kind:
            raise SchemaError(
                f"{record.__module__}.{record.__qualname__} and {other.record.__module__}."
                f"{other.record.__qualname__} are both stored as {kind.name!r}; give one of them "
                "another name: kind='...'"
            )
    return list(found.values())
