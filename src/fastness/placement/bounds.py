"""How much one write of a coordinator may hold: what etcd takes by default, with room to spare.

Every implementation checks it, so that what runs in simulation runs over etcd.
"""

from __future__ import annotations

from collections.abc import Collection

from fastness.errors import LimitExceeded

OPERATIONS_MAX = 100
"""Keys compared, and keys written or deleted, of one write: etcd takes 128 of each."""

WRITE_BYTES_MAX = 1024 * 1024
"""Keys and values of one write: etcd takes a request of 1.5 MiB."""


def require_writable(
    compare: Collection[str], puts: Collection[tuple[str, bytes, int]], deletes: Collection[str]
) -> None:
    """`LimitExceeded` for a write that no coordinator has to take; divide it."""
    for what, count in (("compares", len(compare)), ("writes", len(puts) + len(deletes))):
        if count > OPERATIONS_MAX:
            raise LimitExceeded(
                f"one write of the coordinator {what} {count} keys, at most {OPERATIONS_MAX}: "
                "divide it"
            )
    size = sum(len(key) + len(value) for key, value, _session in puts)
    if size > WRITE_BYTES_MAX:
        raise LimitExceeded(
            f"one write of the coordinator has {size} bytes, at most {WRITE_BYTES_MAX}: divide it"
        )
