"""What queries answer: a page of records, and the explanation of how it was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastness.encoding.intervals import KeyInterval
from fastness.model.declarations import Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """One page of a query, in the order asked."""

    items: list[R]
    continuation: str | None
    """Hand it to the same query to go on; `None` when nothing is left. Printable and safe in
    URLs. It contains the last key listed, readable by whoever holds it."""

    def __iter__(self) -> Iterator[R]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> R:
        return self.items[position]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a query was answered: which index it used, and how much it read."""

    index: str
    columns: tuple[str, ...]
    """All columns of the index; the last ones may be the key's, which tell records apart."""
    given: int
    """How many leading columns the query fixed."""
    bounded: bool
    """Whether bounds applied to the next column."""
    clustered: bool
    """Whether entries carry the record; if not, each entry cost a lookup."""
    interval: KeyInterval
    """The keys that were candidates."""
    reverse: bool
    entries: int
    """Index entries read."""
    lookups: int
    """Records read besides the entries."""
    bytes: int
    """Of keys and values read."""
    complete: bool
    """Whether the page holds everything the query matches."""
    counter: str | None
    """The total from which `count` would answer the same query at once."""

    def __str__(self) -> str:
        fixed = ", ".join(self.columns[: self.given]) or "nothing"
        bounds = f", bounds on {self.columns[self.given]}" if self.bounded else ""
        how = "clustered, no lookups" if self.clustered else f"{self.lookups} lookups"
        order = "against its order" if self.reverse else "in its order"
        return (
            f"{self.index} ({', '.join(self.columns)}) {order}: fixed {fixed}{bounds}; read "
            f"{self.entries} entries, {self.bytes} bytes, {how}; "
            + ("everything that matches" if self.complete else "more follows")
            + (f"; count() uses {self.counter}" if self.counter else "")
        )
