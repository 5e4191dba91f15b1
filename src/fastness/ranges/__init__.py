"""The leaseholder's state machine: validation, group commit, atomic operations. No I/O.

Read `range.py` first: its page holds the protocol and the argument why it is serializable.
`commit.py` says what a commit request carries, `recent.py` how reads are validated,
`batching.py` how a closed batch becomes store writes, `reservations.py` how starving
transactions get their turn. `leaseholder.py` makes of it a range of a cluster: with locks,
decisions, caches, and changes of shape.
"""

from fastness.ranges.atomic import AtomicKind, AtomicOperation, evaluate
from fastness.ranges.batching import versionstamp
from fastness.ranges.commit import (
    COMMITTED,
    FAILED,
    JOINED,
    Commit,
    CommitState,
    Stamped,
    Waiter,
)
from fastness.ranges.range import Range, conflict_of
from fastness.ranges.reservations import Reservation

__all__ = [
    "COMMITTED",
    "FAILED",
    "JOINED",
    "AtomicKind",
    "AtomicOperation",
    "Commit",
    "CommitState",
    "Range",
    "Reservation",
    "Stamped",
    "Waiter",
    "conflict_of",
    "evaluate",
    "versionstamp",
]
