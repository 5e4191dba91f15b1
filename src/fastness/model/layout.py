"""Where typed records lie in the key space.

::

    ff 01  area  partition values...  number  columns...       a kind, an index, a total
    ff 01  0     number  columns...                            the same without a partition
    ff 02  name...                                             the schema registry

Everything behind the two bytes is tuple encoding. `area` and `number` are small integers
the registry gives out, once and never again: one area for all kinds that share a partition,
one number for every kind, index and total. So the records, entries and totals of one
partition are contiguous, whatever their kind, and could share a range.

What the keys of each table hold:

=================  ======================================  ============================
table              key columns                             value
=================  ======================================  ============================
records            the primary key                         the record, a msgpack map
index              its columns, then the rest of the key   the record if clustered, else
                                                           its record key without ff 01
unique index       its columns                             the same
total              its group                               a counter
=================  ======================================  ============================
"""

from __future__ import annotations

from typing import NamedTuple

from fastness.encoding.tuples import pack, unpack_element

RECORDS = b"\xff\x01"
REGISTRY = b"\xff\x02"
GLOBAL_AREA = 0
AFTER = b"\xff"
"""Appended to a packed key: above every key that continues it by an element."""


class Place(NamedTuple):
    """The keys of one table: `head`, so many partition columns, `number`, other columns."""

    head: bytes
    partition_columns: int
    number: bytes

    @property
    def is_local(self) -> bool:
        """Whether the table is spread over partitions."""
        return self.partition_columns > 0

    def table_of(self, partition: bytes) -> bytes:
        """The prefix of the table's keys in one partition (packed; empty without one)."""
        return self.head + partition + self.number

    def partition_of(self, key: bytes) -> bytes:
        """The packed partition values of a key below `head`."""
        begin = end = len(self.head)
        for _ in range(self.partition_columns):
            _element, end = unpack_element(key, end)
        return key[begin:end]


def place_of(area: int, partition_columns: int, number: int) -> Place:
    """The place of a table; `area` is `GLOBAL_AREA` exactly without partition columns."""
    return Place(RECORDS + pack((area,)), partition_columns, pack((number,)))


def registry_key(*elements: str | int) -> bytes:
    """A key of the schema registry."""
    return REGISTRY + pack(elements)


SCHEMA_VERSION_KEY = registry_key("version")
"""Raised with every change of the schema; every transaction that writes records reads it."""
