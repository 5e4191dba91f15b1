"""Runs ranges over a store: performs what the state machine asks for.

`InlineHost` is the driver for stores that answer at once (memory, RocksDB). Its page tells how
group commit and lock-free reads work.
"""

from fastness.hosting.inline import InlineHost
from fastness.hosting.watching import Watch

__all__ = ["InlineHost", "Watch"]
