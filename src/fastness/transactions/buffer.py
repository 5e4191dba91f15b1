"""The write buffer of a transaction: what it will write, and how its own reads see that.

A key is in one of three states: not written here; written with a known value (`None`:
deleted); or changed by atomic operations whose base the leaseholder will know. Operations on a
known value are evaluated at once. Deleting a range forgets what was written inside it before.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import Enum, auto
from typing import Any

from fastness.encoding.counters import COUNTER_MAX, COUNTER_MIN, decode, encode
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import InvalidKey, LimitExceeded
from fastness.limits import Limits
from fastness.ranges import AtomicKind, AtomicOperation, Stamped, evaluate

ENTRY_BYTES = 32
"""What an entry counts against the budget besides its key and value."""


class Written(Enum):
    """What the buffer knows of a key whose value it cannot give."""

    NO = auto()
    BY_OPERATIONS = auto()
    """Atomic operations wait for the value below them."""


class WriteBuffer:
    """Buffered writes of one transaction; bounded by `limits.transaction_bytes`."""

    __slots__ = (
        "_limits",
        "_ordered",
        "atomics",
        "bytes",
        "erased",
        "expiries",
        "stamped_keys",
        "stamped_values",
        "writes",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.writes: dict[bytes, bytes | None] = {}
        self.expiries: dict[bytes, Timestamp] = {}
        self.erased: list[KeyInterval] = []
        self.atomics: dict[bytes, list[AtomicOperation]] = {}
        self.stamped_keys: list[Stamped] = []
        self.stamped_values: dict[bytes, tuple[bytes, bytes]] = {}
        self.bytes = 0
        self._ordered: list[bytes] | None = None

    def _spend(self, amount: int) -> None:
        self.bytes += amount + ENTRY_BYTES
        if self.bytes > self._limits.transaction_bytes:
            self.bytes -= amount + ENTRY_BYTES
            raise LimitExceeded(
                f"this write would bring the transaction to {self.bytes + amount + ENTRY_BYTES} "
                f"bytes, beyond transaction_bytes={self._limits.transaction_bytes}: split the "
                "work over several transactions"
            )

    @property
    def entries(self) -> int:
        """How many keys, operations and intervals are buffered."""
        return (
            len(self.writes)
            + len(self.atomics)
            + len(self.erased)
            + len(self.stamped_keys)
            + len(self.stamped_values)
        )

    def set(self, key: bytes, value: bytes | None, expires_at: Timestamp | None) -> None:
        """Write a value, or delete with `None`."""
        self._spend(len(key) + len(value) if value is not None else len(key))
        if key not in self.writes:
            self._ordered = None
            if self.atomics:
                self.atomics.pop(key, None)
            if self.stamped_values:
                self.stamped_values.pop(key, None)
        self.writes[key] = value
        if expires_at is not None:
            self.expiries[key] = expires_at
        elif self.expiries:
            self.expiries.pop(key, None)

    def erase(self, interval: KeyInterval) -> None:
        """Delete every key of an interval, whatever is in it at the commit."""
        self._spend(len(interval.begin) + len(interval.end))
        tables: tuple[dict[bytes, Any], ...] = (
            self.writes,
            self.atomics,
            self.stamped_values,
            self.expiries,
        )
        for table in tables:
            for key in [key for key in table if interval.contains(key)]:
                del table[key]
        self._ordered = None
        self.erased.append(interval)

    def operate(self, key: bytes, operation: AtomicOperation) -> None:
        """Apply an atomic operation: at once on a known value, else at the commit."""
        known = self.find(key)
        self._spend(len(key) + len(operation.operand))
        if known is Written.NO:
            self.atomics[key] = [operation]
            self._ordered = None
        elif known is Written.BY_OPERATIONS:
            self._chain(self.atomics[key], operation)
        else:
            value = known if isinstance(known, bytes) else None
            self.writes[key] = value = evaluate(operation, value, self._limits.value_bytes)
            if value is None:
                self.expiries.pop(key, None)
            self._ordered = None

    def _chain(self, operations: list[AtomicOperation], operation: AtomicOperation) -> None:
        """Add an operation to those that wait; additions to one counter become one."""
        last = operations[-1]
        if operation.kind is AtomicKind.ADD and last.kind is AtomicKind.ADD:
            amount = decode(last.operand) + decode(operation.operand)
            if COUNTER_MIN <= amount <= COUNTER_MAX:
                operations[-1] = AtomicOperation(AtomicKind.ADD, encode(amount))
                return
        operations.append(operation)

    def stamp_key(self, prefix: bytes, suffix: bytes, value: bytes) -> None:
        """Write under a key that will hold the versionstamp."""
        self._spend(len(prefix) + len(suffix) + len(value))
        erased_before = len(self.erased)
        self.stamped_keys.append(Stamped(prefix, suffix, value, erased_before))

    def stamp_value(self, key: bytes, prefix: bytes, suffix: bytes) -> None:
        """Write a value that will hold the versionstamp."""
        self._spend(len(key) + len(prefix) + len(suffix))
        self.writes.pop(key, None)
        self.atomics.pop(key, None)
        self.expiries.pop(key, None)
        self.stamped_values[key] = (prefix, suffix)
        self._ordered = None

    def find(self, key: bytes) -> bytes | Written | None:
        """The value written (`None`: deleted), or what else is known of the key."""
        if key in self.writes:
            return self.writes[key]
        if key in self.atomics:
            return Written.BY_OPERATIONS
        if key in self.stamped_values:
            raise InvalidKey(
                f"key {key!r} holds a versionstamp that is known only after the commit: read it "
                "in a later transaction"
            )
        for interval in self.erased:
            if interval.begin <= key < interval.end:
                return None
        return Written.NO

    def operated(self, key: bytes, found: bytes | None) -> bytes | None:
        """What the buffered operations make of the value found below them."""
        value = found
        for operation in self.atomics[key]:
            value = evaluate(operation, value, self._limits.value_bytes)
        return value

    def touches(self, interval: KeyInterval) -> bool:
        """Whether anything buffered may change what a scan of the interval shows."""
        return bool(
            self.keys_in(interval)
            or (self.erased and any(interval.overlaps(erased) for erased in self.erased))
            or self._stamps_in(interval)
        )

    def _stamps_in(self, interval: KeyInterval) -> bool:
        for stamped in self.stamped_keys:
            if stamped.interval().overlaps(interval):
                raise InvalidKey(
                    f"a scan of [{interval.begin!r}, {interval.end!r}) reaches keys under "
                    f"{stamped.prefix!r} whose versionstamp is known only after the commit: "
                    "scan before writing them, or in a later transaction"
                )
        return False

    def keys_in(self, interval: KeyInterval) -> list[bytes]:
        """The keys of the interval that are written or operated on, in order."""
        ordered = self._ordered
        if ordered is None:
            ordered = self._ordered = sorted([*self.writes, *self.atomics, *self.stamped_values])
        low = bisect_left(ordered, interval.begin)
        return ordered[low : bisect_left(ordered, interval.end, low)]

    def overlay(self, interval: KeyInterval, found: dict[bytes, bytes]) -> None:
        """Change `found`, the stored entries of the interval, into what the transaction sees."""
        for erased in self.erased:
            for key in [key for key in found if erased.contains(key)]:
                del found[key]
        for key in self.keys_in(interval):
            known = self.find(key)
            if known is Written.BY_OPERATIONS:
                known = self.operated(key, found.get(key))
            if isinstance(known, bytes):
                found[key] = known
            else:
                found.pop(key, None)
