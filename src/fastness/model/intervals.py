"""From what a query asks to the interval of keys that answers it.

An `IndexRange` knows the columns of one index and where it lies. Values are given for a
prefix of its columns, bounds for the column after it. Bounds speak of values: on a
descending column `above` still means larger values, which are listed first.

Why the ends are right: packed elements are never prefixes of one another, and every element
begins with a byte below ff. So the keys that continue a packed prefix p lie in [p, p + ff),
whatever follows in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastness.encoding.descending import unpack_mixed
from fastness.encoding.intervals import KeyInterval, prefix_end
from fastness.errors import InvalidOption
from fastness.model.compiling import ArgumentPacker, argument_packer, packed_argument
from fastness.model.kinds import KeyColumn
from fastness.model.layout import AFTER, Place

_ABOVE_NULL = b"\x01"
_DESCENDING_NULL = b"\xfe"


class Bounds(NamedTuple):
    """Bounds on one column; `None` leaves a side open."""

    at_least: object = None
    above: object = None
    at_most: object = None
    below: object = None
    starting_with: str | bytes | None = None


UNBOUNDED = Bounds()


class IndexRange:
    """The key intervals of one index."""

    def __init__(self, name: str, place: Place, columns: Sequence[KeyColumn], own: int) -> None:
        """`own` of the columns are the index's; the rest only tells records apart."""
        self.name = name
        self.place = place
        self.columns = columns
        self.own = own
        self._packers: list[ArgumentPacker | None] = [None] * (len(columns) + 1)

    def _describe(self, at: int) -> str:
        return f"{self.name}, {self.columns[at].field}"

    def prefix(self, values: tuple[object, ...]) -> bytes:
        """The packed prefix of leading column values."""
        try:
            packer = self._packers[len(values)]
        except IndexError:
            raise InvalidOption(
                f"{self.name} has {len(self.columns)} columns ({self._column_names()}), "
                f"{len(values)} values were given: {values!r:.200}"
            ) from None
        if packer is None:
            packer = self._packer(len(values))
        return packer(*values)

    def _column_names(self) -> str:
        return ", ".join(column.field for column in self.columns)

    def _packer(self, count: int) -> ArgumentPacker:
        partition = self.place.partition_columns
        if count < partition:
            missing = ", ".join(column.field for column in self.columns[count:partition])
            raise InvalidOption(
                f"{self.name} lies inside partitions: give {missing} too, or read the whole kind "
                "with tx.every(...)"
            )
        packer = argument_packer(self.place, self.columns[:count], self._describe)
        self._packers[count] = packer
        return packer

    def interval(self, values: tuple[object, ...], bounds: Bounds = UNBOUNDED) -> KeyInterval:
        """The keys of the entries with these leading values, inside the bounds."""
        prefix = self.prefix(values)
        if bounds == UNBOUNDED:
            return KeyInterval(prefix, prefix + AFTER)
        if len(values) >= len(self.columns):
            raise InvalidOption(
                f"{self.name}: all columns ({self._column_names()}) are given; there is none left "
                "that bounds could apply to"
            )
        return self._bounded(prefix, len(values), bounds)

    def _bounded(self, prefix: bytes, at: int, bounds: Bounds) -> KeyInterval:
        column = self.columns[at]
        begin, end = self._not_null(prefix, column)
        if bounds.starting_with is not None:
            low, high = self._starting(prefix, at, bounds.starting_with)
            begin, end = max(begin, low), min(end, high)
        for value, inclusive, upper in (
            (bounds.at_least, True, False),
            (bounds.above, False, False),
            (bounds.at_most, True, True),
            (bounds.below, False, True),
        ):
            if value is None:
                continue
            edge = prefix + packed_argument(column, value, self._describe(at))
            if upper != column.descending:
                end = min(end, edge + AFTER if inclusive else edge)
            else:
                begin = max(begin, edge if inclusive else edge + AFTER)
        return KeyInterval(begin, max(begin, end))

    def _not_null(self, prefix: bytes, column: KeyColumn) -> tuple[bytes, bytes]:
        """All values of a column but `None`, which no bound admits."""
        if not column.codec.nullable:
            return prefix, prefix + AFTER
        if column.descending:
            return prefix, prefix + _DESCENDING_NULL
        return prefix + _ABOVE_NULL, prefix + AFTER

    def _starting(self, prefix: bytes, at: int, start: str | bytes) -> tuple[bytes, bytes]:
        column = self.columns[at]
        if column.codec.name not in ("str", "bytes"):
            raise InvalidOption(
                f"{self._describe(at)} is {column.codec.name}; starting_with takes str and bytes "
                "columns, at_least and below any"
            )
        packed = packed_argument(column, start, self._describe(at))
        # Without its terminator: one zero byte, two complemented bytes if descending.
        low = prefix + packed[: -2 if column.descending else -1]
        return low, prefix_end(low)

    def values_of(self, key: bytes) -> tuple[object, ...]:
        """The column values in a key of this index."""
        elements = list(unpack_mixed(key, len(self.place.head)))
        del elements[self.place.partition_columns]
        return tuple(
            column.codec.restored(element)
            for column, element in zip(self.columns, elements, strict=True)
        )
