"""The coordinator: a small, consistent key-value store with sessions, as etcd is one.

It holds the node list, the range map, the leases, the oracle's place and its ceiling. Keys:

::

    cluster              ClusterRecord: which cluster this is
    stores/<name>        StoreRecord: where ranges can be
    sessions/<id>        exists while that session lives         (bound to the session)
    nodes/<address>      NodeRecord, while that node lives       (bound to the session)
    names/<name>         the address of the node of that name    (bound to the session)
    ranges/<id>          Descriptor
    oracle               OracleDescriptor
    ceiling              the timestamp oracle's durable ceiling (8 bytes, big-endian)
    next-range           the next range id to be given out (8 bytes, big-endian)

Every call may fail with `Unreachable`, and then may have been carried out all the same: whoever
wrote reads again before it concludes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from fastness.runtime.process import Timer

CLUSTER = "cluster"
STORES = "stores/"
SESSIONS = "sessions/"
NODES = "nodes/"
NAMES = "names/"
RANGES = "ranges/"
ORACLE = "oracle"
CEILING = "ceiling"
NEXT_RANGE = "next-range"


class Entry(NamedTuple):
    """A value and the revision at which it was last written (its `mod_revision`)."""

    value: bytes
    revision: int


class Put(NamedTuple):
    """A key to write; with a session it vanishes when that session ends."""

    key: str
    value: bytes
    session: int = 0


class Coordinator(Protocol):
    """What the cluster needs of etcd. Revisions rise with every transaction that writes."""

    async def open_session(self, ttl_ms: int) -> int:
        """A new session that ends unless kept alive within `ttl_ms`; its id, never 0."""
        ...

    async def keep_alive(self, session: int) -> bool:
        """Let the session live for its whole `ttl_ms` from when this arrives; `False`: it ended."""
        ...

    async def end_session(self, session: int) -> None:
        """End it now, and remove the keys bound to it."""
        ...

    async def read(self, prefix: str) -> tuple[int, dict[str, Entry]]:
        """The current revision and every entry whose key begins with `prefix`; linearizable."""
        ...

    async def write(
        self,
        compare: Mapping[str, int],
        puts: list[Put],
        deletes: tuple[str, ...] = (),
    ) -> int | None:
        """Write atomically if each key of `compare` is at that revision (0: absent).

        Answers the new revision, or `None` where a comparison failed and nothing was written.
        With nothing to write it only compares.
        """
        ...

    def watch(self, prefix: str, changed: Callable[[], None]) -> Timer:
        """Call `changed` some time after anything under the prefix did; best effort, coalesced.

        A hint to read again, never a source of truth. Cancel the answer to stop.
        """
        ...
