"""Who may order what: the timestamp oracle. Synchronous state machines, no I/O."""

from fastness.placement.oracle import TimestampOracle

__all__ = ["TimestampOracle"]
