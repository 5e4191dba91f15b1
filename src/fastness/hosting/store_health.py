"""How a store's servers fare, for whoever looks after them: what was asked, by whatever library."""

from __future__ import annotations

import msgspec


class Standby(msgspec.Struct, frozen=True):
    """One server that follows the primary."""

    name: str
    is_synchronous: bool
    bytes_behind: int
    """Of the log, until it shows what the primary shows."""


class StoreHealth(msgspec.Struct, frozen=True):
    """One PostgreSQL cluster; rows are estimates."""

    version: int
    """As 180004 for 18.4."""
    standbys: list[Standby]
    hidden: int
    """Standbys, and receivers of its log, that are not shown to this role (it takes pg_monitor)."""
    live_rows: int
    dead_rows: int
    """Not taken away by a vacuum yet."""
    size_bytes: int
    oldest_transaction_s: float
    """Of anybody: no vacuum takes away what it may still see."""
