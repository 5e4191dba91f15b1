"""What an audit of a near cache came to (see `Database.audit_cache`)."""

from __future__ import annotations

from typing import NamedTuple


class CacheAudit(NamedTuple):
    """What comparing a near cache with the truth came to, in entries."""

    true: int = 0
    stale: int = 0
    """Served although something newer was committed: never, in a correct system."""
    newer: int = 0
    """Became valid after the timestamp of the audit, which proves nothing."""

    @property
    def ratio(self) -> float:
        """The share of entries compared that were true; 1 where nothing was compared."""
        compared = self.true + self.stale
        return self.true / compared if compared else 1.0


__all__ = ["CacheAudit"]
