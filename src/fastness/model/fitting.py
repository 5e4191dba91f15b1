"""Whether a changed type reads what another type has written: the rules of evolution.

`misfits(stored, declared)` lists every way in which values stored under the first shape could
be refused or read as something else under the second. Nothing is listed for: the same type;
a wider one (`T` to `T | None`, to another union that holds it, to `Any`; an enum or literal
to one with more values, or to its str or int; looser constraints; a set to a list; a longer
dict or list limit); a structure with added fields that have a default.

Refused although it looks like widening: int to float, since an int beyond 2**53 would be
rounded (`int | float` keeps it), and a list to a set, which drops order and duplicates.

Where records lack a field, its default stands for stored data. So the default of a *sparse*
field (added after the first records) must not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from fastness.model.shapes import FieldShape, Shape

_LOWER = ("ge", "gt", "min_length")
_UPPER = ("le", "lt", "max_length")
_EQUAL = ("multiple_of", "pattern", "tz")


class Misfit(NamedTuple):
    """One way in which stored data would be misread: where, what, and the way out."""

    place: str
    what: str
    remedy: str
    gone: bool = False
    """Whether a stored field has no place any more: the class may agree by `removed`."""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}; {self.remedy}"


def misfits(stored: Shape, declared: Shape, place: str) -> Iterator[Misfit]:
    """What stands against reading values of shape `stored` as `declared`."""
    if declared.type == "any":
        return
    if stored.type == "union":
        for member in stored.of:
            yield from misfits(member, declared, place)
    elif declared.type == "union":
        if not any(_fits(stored, member) for member in declared.of):
            yield from _nearest(stored, declared, place)
    elif stored.type in ("enum", "literal"):
        yield from _from_choice(stored, declared, place)
    elif stored.type == "struct" and declared.type == "struct":
        yield from _structures(stored, declared, place)
    elif stored.type in ("list", "set", "tuple"):
        yield from _elements(stored, declared, place)
    elif stored.type != declared.type:
        yield _changed(stored, declared, place)
    else:
        yield from _limits(stored, declared, place)
        for inner, outer in zip(stored.of, declared.of, strict=True):
            yield from misfits(inner, outer, f"{place}[]")


def _fits(stored: Shape, declared: Shape) -> bool:
    return not any(misfits(stored, declared, ""))


def _nearest(stored: Shape, declared: Shape, place: str) -> Iterator[Misfit]:
    """The misfits with the one member that could be meant, or one that names the union."""
    same = [member for member in declared.of if member.type == stored.type]
    if len(same) == 1 and stored.type != "struct":
        yield from misfits(stored, same[0], place)
        return
    tagged = [member for member in same if member.tag == stored.tag]
    if len(tagged) == 1:
        yield from misfits(stored, tagged[0], place)
    else:
        yield _changed(stored, declared, place)


def _changed(stored: Shape, declared: Shape, place: str) -> Misfit:
    remedy = f"keep {stored}, or widen it to '{stored} | {declared}'"
    if (stored.type, declared.type) == ("int", "float"):
        remedy = "declare 'int | float', which keeps integers beyond 2**53 exact"
    return Misfit(
        place,
        f"stored as {stored}, declared as {declared}",
        f"{remedy}; or give the new values a field of their own",
    )


def _from_choice(stored: Shape, declared: Shape, place: str) -> Iterator[Misfit]:
    """Enums and literals: every stored value must still be one."""
    if declared.type in ("enum", "literal"):
        gone = [value for value in stored.values if value not in declared.values]
        if gone:
            yield Misfit(
                place,
                f"stored records may hold {', '.join(map(repr, gone))}, which {declared} lacks",
                "keep these values",
            )
    elif not all(type(value).__name__ == declared.type for value in stored.values):
        yield _changed(stored, declared, place)
    else:
        yield from _limits(stored, declared, place)


def _elements(stored: Shape, declared: Shape, place: str) -> Iterator[Misfit]:
    if declared.type not in ("list", "set", "tuple"):
        yield _changed(stored, declared, place)
    elif declared.type == "set" and stored.type != "set":
        yield Misfit(place, f"stored as {stored}, a set drops order and duplicates", "keep a list")
    elif declared.type == "tuple":
        if stored.type != "tuple" or len(stored.of) != len(declared.of):
            yield _changed(stored, declared, place)
        else:
            for at, (inner, outer) in enumerate(zip(stored.of, declared.of, strict=True)):
                yield from misfits(inner, outer, f"{place}[{at}]")
    else:
        if stored.type != "tuple":
            yield from _limits(stored, declared, place)
        for inner in stored.of:
            yield from misfits(inner, declared.of[0], f"{place}[]")


def _limits(stored: Shape, declared: Shape, place: str) -> Iterator[Misfit]:
    """Constraints may be loosened, not added or tightened."""
    for name, limit in declared.limits.items():
        before = stored.limits.get(name)
        if before == limit or _implied(name, before, limit):
            continue
        was = f"was {name}={before!r}" if before is not None else "had none"
        yield Misfit(
            place,
            f"the constraint {name}={limit!r} may refuse stored values ({was})",
            "loosen it, and check new values where they are made",
        )


def _implied(name: str, before: object, limit: object) -> bool:
    if name in _EQUAL or not isinstance(before, int | float) or not isinstance(limit, int | float):
        return False
    return before >= limit if name in _LOWER else name in _UPPER and before <= limit


def _structures(stored: Shape, declared: Shape, place: str) -> Iterator[Misfit]:
    if (stored.tag_field, stored.tag) != (declared.tag_field, declared.tag):
        yield Misfit(place, f"the tag was {stored.tag!r}, is {declared.tag!r}", "keep the tag")
    if stored.array_like != declared.array_like:
        yield Misfit(place, "array_like was changed", f"keep array_like={stored.array_like}")
    elif stored.array_like:
        yield from _positions(stored, declared, place)
    else:
        yield from field_misfits(stored.fields, stored.removed, declared.fields, place)


def field_misfits(
    stored: tuple[FieldShape, ...],
    removed: tuple[FieldShape, ...],
    declared: tuple[FieldShape, ...],
    place: str,
) -> Iterator[Misfit]:
    """As `misfits`, for the fields of two structures, matched by their stored names.

    A removed field may come back only as it was: some stored values still hold it.
    """
    by_name = {field.name: field for field in declared}
    returning = [field for field in removed if field.name in by_name]
    for field in (*stored, *returning):
        now = by_name.pop(field.name, None)
        if now is not None:
            yield from _same_field(field, now, f"{place}.{now.attribute}")
        else:
            yield _gone(field, declared, place)
    for added in by_name.values():
        yield from _addable(added, f"{place}.{added.attribute}")


def _gone(field: FieldShape, declared: tuple[FieldShape, ...], place: str) -> Misfit:
    alike = [other.attribute for other in declared if other.shape == field.shape]
    renamed = alike[0] if len(alike) == 1 else "new_name"
    path = f"{place}.{field.name}"
    return Misfit(
        path,
        f"stored records hold this field ({field.shape}), the class has none of that name",
        f"if it was renamed, write {renamed}: ... = field(name={field.name!r}); if it is given up "
        f"for good, say removed={path.partition('.')[2]!r} in the class statement of the record",
        gone=True,
    )


def _addable(added: FieldShape, place: str) -> Iterator[Misfit]:
    """A field that stored records lack needs a default, the same at every read."""
    if added.required:
        yield Misfit(
            place,
            "stored records lack this new field",
            "give it a default (or make it optional: '... | None = None')",
        )
    elif added.default is None:
        yield Misfit(
            place,
            "stored records lack this new field, and its default_factory may give another value "
            "at each read",
            "give it a constant default",
        )


def _same_field(stored: FieldShape, declared: FieldShape, place: str) -> Iterator[Misfit]:
    yield from misfits(stored.shape, declared.shape, place)
    if stored.sparse and declared.required:
        yield Misfit(
            place, "some stored records lack this field, which is now required", "keep its default"
        )
    elif stored.sparse and declared.default != stored.default:
        yield Misfit(
            place,
            "some stored records lack this field and read as its default, which was changed",
            "keep the old default",
        )


def _positions(stored: Shape, declared: Shape, place: str) -> Iterator[Misfit]:
    """Array-like structures: fields are told apart by position alone."""
    for at, field in enumerate(stored.fields):
        if at >= len(declared.fields):
            yield Misfit(f"{place}.{field.attribute}", "a field of an array was removed", "keep it")
        else:
            now = declared.fields[at]
            yield from _same_field(field, now, f"{place}.{now.attribute}")
            if now.name != field.name:
                yield Misfit(
                    f"{place}.{now.attribute}",
                    f"stands where {field.attribute} is stored",
                    "keep the order of an array's fields and append new ones",
                )
    for added in declared.fields[len(stored.fields) :]:
        yield from _addable(added, f"{place}.{added.attribute}")


def merged_fields(
    stored: tuple[FieldShape, ...],
    removed: tuple[FieldShape, ...],
    declared: tuple[FieldShape, ...],
) -> tuple[tuple[FieldShape, ...], tuple[FieldShape, ...]]:
    """The declared fields, remembering which some stored values lack; and those removed."""
    before = {field.name: field for field in stored}
    returning = {field.name: replace(field, sparse=True) for field in removed}
    known = {**returning, **before}
    fields = tuple(_merged_field(known.get(field.name), field) for field in declared)
    kept = {field.name for field in declared}
    return fields, tuple(field for field in (*stored, *removed) if field.name not in kept)


def _merged_field(stored: FieldShape | None, declared: FieldShape) -> FieldShape:
    if stored is None:
        return replace(declared, sparse=True)
    return replace(
        declared,
        shape=_merged(stored.shape, declared.shape),
        sparse=stored.sparse or declared.sparse,
    )


def _merged(stored: Shape, declared: Shape) -> Shape:
    """The declared shape with the sparse marks of the stored one, wherever they correspond."""
    if stored.type == "union" or declared.type == "union":
        members = stored.of if stored.type == "union" else (stored,)
        if declared.type != "union":
            return _merged_into(members, declared)
        return replace(declared, of=tuple(_merged_into(members, of) for of in declared.of))
    if stored.type == declared.type == "struct":
        fields, removed = merged_fields(stored.fields, stored.removed, declared.fields)
        return replace(declared, fields=fields, removed=removed)
    if len(stored.of) == len(declared.of):
        of = zip(stored.of, declared.of, strict=True)
        return replace(declared, of=tuple(_merged(inner, outer) for inner, outer in of))
    return declared


def _merged_into(members: tuple[Shape, ...], declared: Shape) -> Shape:
    for member in members:
        if member.type == declared.type and member.tag == declared.tag:
            declared = _merged(member, declared)
    return declared
