"""What synchronous and asynchronous transactions share: state, reads, writes, the commit.

A transaction reads a snapshot at its read timestamp, records which keys and intervals it read,
buffers its writes, and hands both to the range at the commit. Reads of an embedded engine
never wait, so both kinds of transaction do them here; they differ in how they commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import NoReturn

from fastness.encoding import continuations
from fastness.encoding.counters import encode as encode_counter
from fastness.encoding.intervals import SYSTEM_END, USER_END, KeyInterval, successor
from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    FastnessError,
    InvalidInterval,
    InvalidKey,
    InvalidOption,
    InvalidTimestamp,
    InvalidValue,
    LimitExceeded,
    TransactionClosed,
    UsageError,
)
from fastness.invariants import InvariantViolation
from fastness.ranges import (
    AtomicKind,
    AtomicOperation,
    Commit,
    CommitState,
    versionstamp,
)
from fastness.storage import cells
from fastness.storage.contract import Item
from fastness.transactions.buffer import WriteBuffer, Written
from fastness.transactions.contract import Engine
from fastness.transactions.page import Page, Usage

WARN_AT = 0.8
"""The share of its budget from which a commit is worth a warning."""

_log = logging.getLogger("fastness.transactions")


class TransactionState(Enum):
    """Where a transaction stands."""

    ACTIVE = auto()
    COMMITTING = auto()
    COMMITTED = auto()
    CANCELLED = auto()
    FAILED = auto()


# Looked up by name at every transaction, which is slow for members of an enumeration.
ACTIVE, COMMITTING, COMMITTED = (
    TransactionState.ACTIVE,
    TransactionState.COMMITTING,
    TransactionState.COMMITTED,
)


def _refuse_ended(_key: bytes) -> NoReturn:
    """Stands in for the engine's `newest` in a transaction that has ended.

    A function, not a method: a transaction that held a method of its own would be a cycle, and
    keep its reads alive until the garbage collector comes by.
    """
    raise TransactionClosed("the transaction has ended: begin a new one")


class TransactionCore:
    """State and behaviour common to both kinds of transaction. Not thread-safe."""

    __slots__ = (
        "_alive_until",
        "_bound",
        "_buffer",
        "_engine",
        "_hooks",
        "_identity",
        "_interval_bytes",
        "_newest",
        "_priority",
        "_read_intervals",
        "_read_keys",
        "_read_only",
        "_records",
        "_state",
        "_write_intervals",
        "_write_keys",
        "commit_timestamp",
        "observer",
        "read_timestamp",
    )

    observer: object
    """What a layer before the database keeps with its transactions; unset where there is none."""

    def __init__(
        self,
        engine: Engine,
        *,
        at: Timestamp | None = None,
        read_only: bool = False,
        priority: tuple[Timestamp, bytes] | None = None,
    ) -> None:
        """Begin: `at` reads the past, which makes the transaction read-only."""
        self._engine = engine
        self.read_timestamp: Timestamp = engine.read_timestamp()
        if at is not None:
            read_only = True
            if not 0 <= at <= self.read_timestamp:
                raise InvalidTimestamp(
                    f"timestamp {at} was never issued: the newest is {self.read_timestamp}"
                )
            self.read_timestamp = at
        self._bound = cells.bound(self.read_timestamp)
        self._newest = engine.newest
        self._read_only = read_only
        self._records = not read_only
        self._read_keys: set[bytes] = set()
        self._read_intervals: list[KeyInterval] = []
        self._interval_bytes = 0
        self._buffer: WriteBuffer | None = None
        self._write_keys: set[bytes] | None = None
        self._write_intervals: list[KeyInterval] | None = None
        self._alive_until: Timestamp = 0
        self._priority = priority
        self._identity = b""
        self._hooks: list[Callable[[Timestamp], object]] | None = None
        self._state = ACTIVE
        self.commit_timestamp: Timestamp | None = None
        """The consistency token of a committed transaction; `None` before."""

    # ------------------------------------------------------------ properties

    @property
    def state(self) -> TransactionState:
        """Where the transaction stands."""
        return self._state

    @property
    def id(self) -> bytes:
        """16 bytes: the birth timestamp and a random number."""
        if not self._identity:
            random = self._engine.random.getrandbits(64)
            self._identity = self.read_timestamp.to_bytes(8, "big") + random.to_bytes(8, "big")
        return self._identity

    @property
    def priority(self) -> tuple[Timestamp, bytes]:
        """Read timestamp and id of the first attempt: the lower goes first."""
        if self._priority is None:
            self._priority = (self.read_timestamp, self.id)
        return self._priority

    @property
    def reads(self) -> tuple[set[bytes], list[KeyInterval]]:
        """The keys and intervals read so far that the commit validates."""
        return self._read_keys, self._read_intervals

    @property
    def is_read_only(self) -> bool:
        """Whether writes are refused."""
        return self._read_only

    def usage(self) -> Usage:
        """What this transaction has used of its budget."""
        limits = self._engine.limits
        return Usage(
            bytes_used=self._bytes_used(),
            bytes_max=limits.transaction_bytes,
            keys_used=self._keys_used(),
            keys_max=limits.transaction_keys,
        )

    def _bytes_used(self) -> int:
        return self._interval_bytes + (self._buffer.bytes if self._buffer is not None else 0)

    def _keys_used(self) -> int:
        declared = len(self._write_keys or ()) + len(self._write_intervals or ())
        read = len(self._read_keys) + len(self._read_intervals)
        return read + declared + (self._buffer.entries if self._buffer is not None else 0)

    def versionstamp(self) -> bytes:
        """The 10-byte versionstamp of this committed transaction."""
        if self.commit_timestamp is None:
            raise TransactionClosed("the versionstamp is known after the commit: call it then")
        return versionstamp(self.commit_timestamp)

    def on_commit(self, hook: Callable[[Timestamp], object]) -> None:
        """Call `hook(commit timestamp)` after a durable commit, never after a failed attempt."""
        self.require_active()
        if self._hooks is None:
            self._hooks = []
        self._hooks.append(hook)

    # ----------------------------------------------------------------- reads

    def _read(self, key: bytes, snapshot: bool) -> bytes | None:
        """The value this transaction sees of a key, its own writes included."""
        buffer = self._buffer
        if buffer is not None:
            known = buffer.find(key)
            if known is not Written.NO:
                if known is Written.BY_OPERATIONS:
                    return buffer.operated(key, self._read_stored(key, snapshot))
                return known
        return self._read_stored(key, snapshot)

    def _read_stored(self, key: bytes, snapshot: bool) -> bytes | None:
        if self._records and not snapshot:
            self._read_keys.add(key)
        try:
            cell = self._newest(key)
        except FastnessError:
            raise
        except Exception as error:
            raise self._engine.failure(error) from error
        if cell is not None and cell < self._bound:
            return cell[8:]
        return self._read_slow(key, cell)

    def _read_slow(self, key: bytes, cell: bytes | None) -> bytes | None:
        """A cell that is absent, expiring, or newer than the snapshot."""
        at = self.read_timestamp
        if cell is None:
            engine = self._engine
            unsure = engine.applying > at or engine.prune_horizon > at
        else:
            unsure = cells.timestamp_of(cell) > at
        if unsure:
            cell = self._engine.cell_at(key, at)
        value = cells.value_at(cell, at)
        if cell is not None and value is not None:
            self._note_expiry(cell)
        return value

    def _note_expiry(self, cell: bytes) -> None:
        expires_at = cells.expiry_of(cell)
        if expires_at and (not self._alive_until or expires_at < self._alive_until):
            self._alive_until = expires_at

    def _read_many(self, keys: Sequence[bytes], snapshot: bool) -> list[bytes | None]:
        self.require_active()
        read = self._read
        values = [read(key, snapshot) for key in keys]
        self._check_keys()
        return values

    def _scan(
        self,
        begin: bytes,
        end: bytes,
        limit: int,
        reverse: bool,
        snapshot: bool,
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The first `limit` entries this transaction sees, and whether there may be more."""
        self.require_active()
        interval = KeyInterval(begin, end)
        entries: list[tuple[bytes, bytes]] | None = None
        more = False
        if self._buffer is None or not self._buffer.touches(interval):
            items = self._engine.scan(interval, self.read_timestamp, limit + 1, reverse=reverse)
            more = len(items) > limit
            if more:
                items.pop()
            entries = self._values(items)
            if len(entries) < len(items) and more:
                entries = None
        if entries is None:
            entries, more = self._scan_merged(interval, limit, reverse=reverse)
        if self._records and not snapshot:
            self._record_interval(interval, entries[-1][0] if more else None, reverse=reverse)
        return entries, more

    def _values(self, items: list[Item]) -> list[tuple[bytes, bytes]]:
        """Keys and values of the cells that are alive."""
        if not items:
            return []
        if max([cell for _, cell in items]) < self._bound:
            return [(key, cell[8:]) for key, cell in items]
        at = self.read_timestamp
        entries = []
        for key, cell in items:
            value = cells.value_at(cell, at)
            if value is not None:
                self._note_expiry(cell)
                entries.append((key, value))
        return entries

    def _scan_merged(
        self, interval: KeyInterval, limit: int, *, reverse: bool
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """A scan over stored entries and buffered writes, stretch by stretch."""
        entries: list[tuple[bytes, bytes]] = []
        while True:
            wanted = limit + 1 - len(entries)
            items = self._engine.scan(interval, self.read_timestamp, wanted, reverse=reverse)
            complete = len(items) < wanted
            stretch, interval = self._merged(interval, items, complete, reverse=reverse)
            entries.extend(stretch)
            if complete or len(entries) > limit:
                return entries[:limit], len(entries) > limit

    def _merged(
        self, interval: KeyInterval, items: list[Item], complete: bool, *, reverse: bool
    ) -> tuple[list[tuple[bytes, bytes]], KeyInterval]:
        """What the stretch that `items` cover shows, own writes included, and the rest of it."""
        covered = interval
        if not complete:
            last = items[-1][0]
            if reverse:
                covered = KeyInterval(last, interval.end)
                interval = KeyInterval(interval.begin, last)
            else:
                covered = KeyInterval(interval.begin, successor(last))
                interval = KeyInterval(covered.end, interval.end)
        found = dict(self._values(items))
        if self._buffer is not None:
            self._buffer.overlay(covered, found)
        return sorted(found.items(), reverse=reverse), interval

    def _record_interval(self, scan: KeyInterval, last: bytes | None, *, reverse: bool) -> None:
        if last is not None:
            scan = (
                KeyInterval(last, scan.end) if reverse else KeyInterval(scan.begin, successor(last))
            )
        if scan.begin < scan.end:
            self._read_intervals.append(scan)
            self._interval_bytes += len(scan.begin) + len(scan.end)
            self._check_keys()

    def _page(
        self,
        begin: bytes,
        end: bytes,
        limit: int | None,
        *,
        reverse: bool,
        continuation: bytes | None,
        snapshot: bool,
    ) -> Page:
        interval, rest, limit = self._page_asked(begin, end, limit, reverse, continuation)
        entries, more = self._scan(rest.begin, rest.end, limit, reverse, snapshot)
        token = continuations.encode(interval, reverse, entries[-1][0]) if more else None
        return Page(entries, token)

    def _page_asked(
        self, begin: bytes, end: bytes, limit: int | None, reverse: bool, continuation: bytes | None
    ) -> tuple[KeyInterval, KeyInterval, int]:
        """The whole interval of a paged scan, the rest of it to be read, and how many entries."""
        interval = self._checked_interval(begin, end)
        limits = self._engine.limits
        if limit is None:
            limit = limits.page_entries
        if type(limit) is not int or not 1 <= limit <= limits.page_entries_max:
            raise InvalidOption(
                f"limit={limit!r} is not a number from 1 to {limits.page_entries_max} "
                "(page_entries_max): ask for a page within that and go on by its continuation"
            )
        rest = interval
        if continuation is not None:
            last = continuations.decode(continuation, interval, reverse)
            begin, end = interval
            rest = KeyInterval(begin, last) if reverse else KeyInterval(successor(last), end)
        return interval, rest, limit

    # ---------------------------------------------------------------- writes

    def set(self, key: bytes, value: bytes, *, expires_at: Timestamp | None = None) -> None:
        """Write a value; with `expires_at`, readers at or above that timestamp see nothing."""
        limits = self._engine.limits
        if type(key) is not bytes or key >= USER_END or len(key) > limits.key_bytes:
            self._check_key(key)
        if type(value) is not bytes or len(value) > limits.value_bytes:
            self._check_value(value)
        if expires_at is not None and (type(expires_at) is not int or not 0 < expires_at < 1 << 63):
            raise InvalidTimestamp(f"expires_at={expires_at!r} is no timestamp")
        self._writing().set(key, value, expires_at)

    def delete(self, key: bytes) -> None:
        """Remove a key; removing an absent one is no error."""
        self._check_key(key)
        self._writing().set(key, None, None)

    def delete_range(self, begin: bytes, end: bytes) -> None:
        """Remove every key k with begin <= k < end that exists at the commit."""
        interval = self._checked_interval(begin, end)
        self.require_active()
        if begin < end:
            self.unchecked_delete_range(interval.begin, interval.end)

    def add(self, key: bytes, amount: int) -> None:
        """Add to a counter (8 bytes, little-endian, signed; absent counts as 0). No conflict."""
        self._operate(key, AtomicKind.ADD, encode_counter(amount))

    def min(self, key: bytes, value: int) -> None:
        """Lower a counter to `value` if it is above; set it where absent. No conflict."""
        self._operate(key, AtomicKind.MIN, encode_counter(value))

    def max(self, key: bytes, value: int) -> None:
        """Raise a counter to `value` if it is below; set it where absent. No conflict."""
        self._operate(key, AtomicKind.MAX, encode_counter(value))

    def append(self, key: bytes, value: bytes) -> None:
        """Append bytes to a value (absent counts as empty). No conflict."""
        self._check_value(value)
        self._operate(key, AtomicKind.APPEND, value)

    def compare_and_clear(self, key: bytes, expected: bytes) -> None:
        """Remove the key if its value is `expected` at the commit. No conflict."""
        self._check_value(expected)
        self._operate(key, AtomicKind.COMPARE_AND_CLEAR, expected)

    def set_versionstamped_key(self, prefix: bytes, value: bytes, suffix: bytes = b"") -> None:
        """Write `value` under prefix + versionstamp + suffix: keys in commit order."""
        self._check_key(prefix)
        if type(suffix) is not bytes:
            self._check_key(suffix)
        self._check_key(prefix + bytes(10) + suffix)
        self._check_value(value)
        self.unchecked_set_versionstamped_key(prefix, value, suffix)

    def set_versionstamped_value(self, key: bytes, prefix: bytes, suffix: bytes = b"") -> None:
        """Write prefix + versionstamp + suffix as the value of `key`."""
        self._check_key(key)
        for part in (prefix, suffix):
            self._check_value(part)
        self._check_value(prefix + bytes(10) + suffix)
        self.unchecked_set_versionstamped_value(key, prefix, suffix)

    def _operate(self, key: bytes, kind: AtomicKind, operand: bytes) -> None:
        self._check_key(key)
        self._writing().operate(key, AtomicOperation(kind, operand))

    def unchecked_set(self, key: bytes, value: bytes, expires_at: Timestamp | None = None) -> None:
        """As `set`, for layers above: any key, types and sizes checked by the caller."""
        self._writing().set(key, value, expires_at)

    def unchecked_delete(self, key: bytes) -> None:
        """As `delete`, for layers above."""
        self._writing().set(key, None, None)

    def unchecked_delete_range(self, begin: bytes, end: bytes) -> None:
        """As `delete_range`, for layers above.

        The keys that exist now are counted against the budget, since each moves to history.
        """
        buffer = self._writing()
        interval = KeyInterval(begin, end)
        left = max(0, self._engine.limits.transaction_keys - buffer.entries)
        if len(self._engine.scan(interval, self.read_timestamp, left + 1, reverse=False)) > left:
            raise LimitExceeded(
                f"[{begin!r}, {end!r}) holds more than the {left} keys this transaction may "
                "still remove (transaction_keys): delete smaller intervals, one transaction each"
            )
        buffer.erase(interval)

    def unchecked_add(self, key: bytes, amount: int) -> None:
        """As `add`, for layers above."""
        self._writing().operate(key, AtomicOperation(AtomicKind.ADD, encode_counter(amount)))

    def unchecked_set_versionstamped_key(self, prefix: bytes, value: bytes, suffix: bytes) -> None:
        """As `set_versionstamped_key`, for layers above."""
        self._writing().stamp_key(prefix, suffix, value)

    def unchecked_set_versionstamped_value(self, key: bytes, prefix: bytes, suffix: bytes) -> None:
        """As `set_versionstamped_value`, for layers above."""
        self._writing().stamp_value(key, prefix, suffix)

    # -------------------------------------------------------------- conflicts

    def add_read_conflict_key(self, key: bytes) -> None:
        """Validate `key` at the commit as if it had been read."""
        self.require_active()
        self._check_key(key, end=SYSTEM_END)
        self._read_keys.add(key)

    def add_read_conflict_range(self, begin: bytes, end: bytes) -> None:
        """Validate an interval at the commit as if it had been scanned."""
        self.require_active()
        self._record_interval(self._checked_interval(begin, end), None, reverse=False)

    def add_write_conflict_key(self, key: bytes) -> None:
        """Make concurrent transactions that read `key` conflict, without writing it."""
        self._check_key(key)
        self._writing()
        if self._write_keys is None:
            self._write_keys = set()
        self._write_keys.add(key)

    def add_write_conflict_range(self, begin: bytes, end: bytes) -> None:
        """Make concurrent transactions that read in the interval conflict."""
        interval = self._checked_interval(begin, end)
        self._writing()
        if self._write_intervals is None:
            self._write_intervals = []
        self._write_intervals.append(interval)

    # ----------------------------------------------------------------- ending

    def cancel(self) -> None:
        """End without writing anything. Ending twice is no error."""
        if self._state is ACTIVE:
            self._end(TransactionState.CANCELLED)

    def _begin_commit(self) -> Commit | None:
        """The commit to send, `None` when nothing was written: then it is done."""
        self.require_active()
        if self._buffer is None:
            self.commit_timestamp = self.read_timestamp
            self._end(COMMITTED)
            return None
        buffer = self._buffer
        self._check_budget()
        commit = Commit(
            read_timestamp=self.read_timestamp, priority=self.priority, identity=self.id
        )
        commit.read_keys = self._read_keys
        commit.read_intervals = self._read_intervals
        commit.writes = buffer.writes
        commit.erased = buffer.erased
        commit.atomics = buffer.atomics or None
        commit.stamped_keys = buffer.stamped_keys or None
        commit.stamped_values = buffer.stamped_values or None
        if buffer.expiries:
            commit.expiries = buffer.expiries
        commit.write_keys = self._write_keys
        commit.write_intervals = self._write_intervals
        commit.alive_until = self._alive_until
        commit.bytes = buffer.bytes
        self._end(COMMITTING)
        return commit

    def _finish_commit(self, commit: Commit) -> None:
        """Take over what became of the commit; raises its error."""
        if commit.state is CommitState.COMMITTED:
            self.commit_timestamp = commit.timestamp
            self._state = COMMITTED
            return
        self._state = TransactionState.FAILED
        error, commit.error = commit.error, None
        if error is None:
            raise InvariantViolation(f"commit {commit.id.hex()} ended as {commit.state}")
        try:
            raise error
        finally:
            # The traceback holds this frame: without this, a cycle for each conflict.
            del error

    def _abandon(self, commit: Commit) -> None:
        """Waiting was interrupted, if it did not end: the commit's id tells how it went on."""
        if self._state is COMMITTING:
            self._state = TransactionState.FAILED
            if commit.state is CommitState.NEW:
                commit.fail(TransactionClosed("interrupted before anything was sent"))
            self._engine.remember(commit)

    def _run_hooks(self) -> None:
        hooks, self._hooks = self._hooks, None
        if hooks and self.commit_timestamp is not None:
            for hook in hooks:
                hook(self.commit_timestamp)

    def _end(self, state: TransactionState) -> None:
        self._state = state
        self._newest = _refuse_ended
        self._buffer = None

    def require_active(self) -> None:
        """Raise `TransactionClosed` unless the transaction can still read and write."""
        if self._state is not ACTIVE:
            raise TransactionClosed(
                f"the transaction is {self._state.name.lower()}: begin a new one"
            )

    def _writing(self) -> WriteBuffer:
        buffer = self._buffer
        if buffer is not None:
            return buffer
        self.require_active()
        if self._read_only:
            raise UsageError(
                "the transaction is read-only: begin one without at= and read_only=, of a "
                "database opened without read_only= and with a token that may write"
            )
        buffer = self._buffer = WriteBuffer(self._engine.limits)
        return buffer

    # ----------------------------------------------------------------- checks

    def _check_budget(self) -> None:
        """Refuse a commit beyond its budget, warn of one that comes near."""
        limits = self._engine.limits
        if (
            self._bytes_used() > limits.transaction_bytes * WARN_AT
            or self._keys_used() > limits.transaction_keys * WARN_AT
        ):
            self._check_keys()
            _log.warning("split this transaction before it is refused: %s", self.usage())

    def _check_keys(self) -> None:
        limits = self._engine.limits
        used = self._keys_used()
        if used > limits.transaction_keys:
            raise LimitExceeded(
                f"the transaction touches {used} keys, beyond transaction_keys="
                f"{limits.transaction_keys}: split it, or read with snapshot=True what needs no "
                "validation"
            )
        if self._bytes_used() > limits.transaction_bytes:
            raise LimitExceeded(
                f"the transaction's writes and the intervals it read take {self._bytes_used()} "
                f"bytes, beyond transaction_bytes={limits.transaction_bytes}: split it"
            )

    def _check_key(self, key: bytes, end: bytes = USER_END) -> None:
        if type(key) is not bytes:
            raise InvalidKey(
                f"key {key!r} is {type(key).__name__}, not bytes: pack it, for example with "
                "fastness.pack((...,))"
            )
        if key >= end:
            raise InvalidKey(f"key {key[:40]!r} lies in the system space (from {USER_END!r} on)")
        if len(key) > self._engine.limits.key_bytes:
            raise LimitExceeded(
                f"key {key[:40]!r}... of {len(key)} bytes exceeds "
                f"key_bytes={self._engine.limits.key_bytes}"
            )

    def _check_value(self, value: bytes) -> None:
        if type(value) is not bytes:
            raise InvalidValue(
                f"value {value!r:.80} is {type(value).__name__}, not bytes: encode it"
            )
        if len(value) > self._engine.limits.value_bytes:
            raise LimitExceeded(
                f"value of {len(value)} bytes exceeds value_bytes="
                f"{self._engine.limits.value_bytes}: split it over several keys"
            )

    def _checked_interval(self, begin: bytes, end: bytes) -> KeyInterval:
        for edge in (begin, end):
            if type(edge) is not bytes:
                raise InvalidKey(f"interval edge {edge!r} is {type(edge).__name__}, not bytes")
            # One more byte than a key may have: the bound just above the longest one.
            if len(edge) > self._engine.limits.key_bytes + 1:
                raise LimitExceeded(
                    f"interval edge {edge[:40]!r}... of {len(edge)} bytes exceeds "
                    f"key_bytes={self._engine.limits.key_bytes}: no key is that long"
                )
        if begin > end:
            raise InvalidInterval(
                f"begin {begin!r} lies after end {end!r}: swap them (reverse=True changes the "
                "order, not the edges)"
            )
        if begin > USER_END or (begin == USER_END and end > begin):
            raise InvalidKey(
                f"[{begin[:40]!r}, {end[:40]!r}) lies in the system space (from {USER_END!r} on)"
            )
        return KeyInterval(begin, min(end, USER_END))


__all__ = ["TransactionCore", "TransactionState"]
