"""Subspaces: tuple keys under a common prefix."""

from __future__ import annotations

from dataclasses import dataclass

from fastness.encoding._messages import shown
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.tuples import (
    TupleElement,
    VersionstampedKey,
    pack,
    pack_with_versionstamp,
    unpack,
)
from fastness.errors import InvalidKey


@dataclass(frozen=True, slots=True, init=False)
class Subspace:
    """The keys that begin with a raw prefix and a packed tuple.

    `users = Subspace(("users",))` gives `users.pack((42, "name"))` the key of
    `("users", 42, "name")`; so does `users[42].pack(("name",))`.
    """

    key: bytes
    """The prefix of every key in the subspace."""

    def __init__(self, prefix: tuple[TupleElement, ...] = (), raw_prefix: bytes = b"") -> None:
        """The subspace of `raw_prefix` followed by the packed `prefix`."""
        if type(raw_prefix) is not bytes:
            raise InvalidKey(f"raw prefix {shown(raw_prefix)} of a subspace is not bytes")
        object.__setattr__(self, "key", raw_prefix + pack(prefix))

    def pack(self, elements: tuple[TupleElement, ...] = ()) -> bytes:
        """The key of a tuple in this subspace."""
        return self.key + pack(elements)

    def pack_with_versionstamp(self, elements: tuple[TupleElement, ...]) -> VersionstampedKey:
        """The key of a tuple with one incomplete versionstamp, in this subspace."""
        packed = pack_with_versionstamp(elements)
        return VersionstampedKey(self.key + packed.prefix, packed.suffix)

    def unpack(self, key: bytes) -> tuple[TupleElement, ...]:
        """The tuple of a key in this subspace; `InvalidKey` for a key outside of it."""
        if not self.contains(key):
            raise InvalidKey(f"{shown(key)} lies outside the subspace of {shown(self.key)}")
        return unpack(key, len(self.key))

    def contains(self, key: bytes) -> bool:
        """Whether `key` lies in this subspace."""
        return type(key) is bytes and key.startswith(self.key)

    def range(self, elements: tuple[TupleElement, ...] = ()) -> KeyInterval:
        """All keys of this subspace whose tuples extend `elements`."""
        key = self.pack(elements)
        return KeyInterval(key + b"\x00", key + b"\xff")

    def subspace(self, prefix: tuple[TupleElement, ...]) -> Subspace:
        """The subspace of the tuples that begin with `prefix`."""
        return Subspace(prefix, self.key)

    def __getitem__(self, element: TupleElement) -> Subspace:
        """The subspace of one more element."""
        return Subspace((element,), self.key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and self.contains(key)
