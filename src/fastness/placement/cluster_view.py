"""What one node last read at the coordinator: ranges, sessions, nodes, the oracle and its ceiling.

A copy that may be stale and is treated so: every change of a lease or a descriptor is a write
that compares the revisions found here, so a stale copy only makes a write fail. Routing and the
choice of what to claim may use it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from fastness.encoding.timestamps import Timestamp
from fastness.errors import InvalidEncoding
from fastness.placement.coordinator import (
    CEILING,
    NEXT_RANGE,
    NODES,
    ORACLE,
    RANGES,
    SESSIONS,
    Entry,
)
from fastness.placement.descriptors import Descriptor, OracleDescriptor, RangeMap

_encode = msgspec.msgpack.Encoder().encode
_decode_descriptor = msgspec.msgpack.Decoder(Descriptor).decode
_decode_oracle = msgspec.msgpack.Decoder(OracleDescriptor).decode


_NO_ENTRY = Entry(b"", 0)


class Placed(NamedTuple):
    """A descriptor and the revision of its key."""

    descriptor: Descriptor
    revision: int


def range_key(range_id: int) -> str:
    """The coordinator's key of a range's descriptor."""
    return f"{RANGES}{range_id}"


def session_key(session: int) -> str:
    """The coordinator's key that lives as long as a session."""
    return f"{SESSIONS}{session}"


def node_key(address: str) -> str:
    """The coordinator's key that lives as long as a node."""
    return f"{NODES}{address}"


def encode_descriptor(descriptor: Descriptor | OracleDescriptor) -> bytes:
    """The bytes a descriptor is kept as."""
    return _encode(descriptor)


def decode_descriptor(data: bytes) -> Descriptor:
    """The descriptor these bytes are; `InvalidEncoding` for others."""
    try:
        return _decode_descriptor(data)
    except msgspec.DecodeError as error:
        raise _unreadable("range descriptor", data, error) from error


def decode_oracle(data: bytes) -> OracleDescriptor:
    """The oracle's descriptor these bytes are; `InvalidEncoding` for others."""
    try:
        return _decode_oracle(data)
    except msgspec.DecodeError as error:
        raise _unreadable("oracle descriptor", data, error) from error


def encode_counter(number: int) -> bytes:
    """The bytes of the ceiling and of the next range id."""
    return number.to_bytes(8, "big")


def decode_counter(entry: Entry | None) -> int:
    """The number of an entry, 0 where there is none."""
    return 0 if entry is None else int.from_bytes(entry.value, "big")


def _unreadable(what: str, data: bytes, error: Exception) -> InvalidEncoding:
    return InvalidEncoding(
        f"the coordinator holds a {what} that cannot be read ({error}): {data[:40]!r}; it was "
        "written by another program or version"
    )


class ClusterView:
    """See the module's page."""

    __slots__ = (
        "_placed_by_key",
        "_range_entries",
        "ceiling",
        "next_range",
        "next_range_revision",
        "nodes",
        "oracle",
        "oracle_revision",
        "ranges",
        "revision",
        "routes",
        "sessions",
    )

    def __init__(self) -> None:
        self.revision = 0
        self.ranges: dict[int, Placed] = {}
        """By id, in the order of ids."""
        self.sessions: dict[int, int] = {}
        """Revision of the key of each living session."""
        self.nodes: list[str] = []
        """Addresses of the living nodes, sorted."""
        self.oracle = OracleDescriptor(released=True)
        self.oracle_revision = 0
        self.ceiling: Timestamp = 0
        self.next_range = 0
        self.next_range_revision = 0
        self.routes = RangeMap()
        """For routing: also corrected by refusals, between two readings."""
        self._range_entries: dict[str, Entry] = {}
        self._placed_by_key: dict[str, Placed] = {}
        """What those entries say."""

    def refreshed(self, revision: int, entries: Mapping[str, Entry]) -> bool:
        """Take a complete reading in; `False`, and nothing, if something newer is known."""
        if revision < self.revision:
            return False
        self.revision = revision
        self.sessions = {
            int(key[len(SESSIONS) :]): entry.revision
            for key, entry in entries.items()
            if key.startswith(SESSIONS)
        }
        self.nodes = sorted(key[len(NODES) :] for key in entries if key.startswith(NODES))
        oracle = entries.get(ORACLE)
        self.oracle = (
            OracleDescriptor(released=True) if oracle is None else decode_oracle(oracle.value)
        )
        self.oracle_revision = revision_of(oracle)
        self.ceiling = decode_counter(entries.get(CEILING))
        self.next_range = decode_counter(entries.get(NEXT_RANGE))
        self.next_range_revision = revision_of(entries.get(NEXT_RANGE))
        self._take_ranges({key: one for key, one in entries.items() if key.startswith(RANGES)})
        return True

    def _take_ranges(self, entries: dict[str, Entry]) -> None:
        known = self._range_entries
        if entries == known:
            return
        self._range_entries = entries
        placed = [
            self._placed_by_key[key]
            if known.get(key) == one
            else Placed(decode_descriptor(one.value), one.revision)
            for key, one in entries.items()
        ]
        self._placed_by_key = dict(zip(entries, placed, strict=True))
        placed.sort(key=lambda one: one.descriptor.range_id)
        self.ranges = {one.descriptor.range_id: one for one in placed}
        self._route()

    def _route(self) -> None:
        self.routes = RangeMap(one.descriptor for one in self.ranges.values())

    def changed(self, revision: int, puts: Iterable[Descriptor], gone: Iterable[int] = ()) -> None:
        """Note what this node itself has written at `revision`."""
        self.revision = max(self.revision, revision)
        anew = False
        for range_id in gone:
            self.ranges.pop(range_id, None)
            self._range_entries.pop(range_key(range_id), None)
            anew = True
        for descriptor in puts:
            anew |= descriptor.range_id not in self.ranges
            self.ranges[descriptor.range_id] = Placed(descriptor, revision)
            # Like no entry that can be read: the next reading takes it in, or misses it.
            self._range_entries[range_key(descriptor.range_id)] = _NO_ENTRY
            anew |= not self.routes.learn(descriptor)
        if anew:
            self.ranges = dict(sorted(self.ranges.items()))
            self._route()

    def oracle_changed(self, revision: int, oracle: OracleDescriptor) -> None:
        """Note the oracle's descriptor that this node has written at `revision`."""
        self.revision = max(self.revision, revision)
        self.oracle = oracle
        self.oracle_revision = revision

    def oracle_address(self) -> str:
        """Where timestamps are issued, empty while it is not known."""
        return "" if self.oracle.released else self.oracle.holder

    def is_free(self, found: Descriptor | OracleDescriptor, session: int) -> bool:
        """Whether `session` may claim it: released, its holder gone, or its own already."""
        return found.released or found.session in {0, session} or found.session not in self.sessions

    def holding(self) -> dict[str, int]:
        """How many ranges each living node holds, by address, in the order of addresses."""
        counts = dict.fromkeys(self.nodes, 0)
        for placed in self.ranges.values():
            found = placed.descriptor
            if not found.released and found.holder in counts:
                counts[found.holder] += 1
        return counts


def revision_of(entry: Entry | None) -> int:
    """The revision to compare with: 0 for a key that is absent."""
    return 0 if entry is None else entry.revision
