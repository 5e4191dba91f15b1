"""Turns the members of a closed batch into what the store writes.

Members are taken in the order they joined. Each sees, for its atomic operations, the newest
values overlaid with what earlier members of the batch did. A member that cannot be written
(an atomic operation that fails, a value it found alive that has expired by its timestamp)
is dropped with its error; the others go on (CONSISTENCY, sections 1.3 and 1.8).
"""

from __future__ import annotations

from fastness.encoding.timestamps import Timestamp
from fastness.errors import Conflict, FastnessError, LimitExceeded
from fastness.limits import Limits
from fastness.ranges.atomic import evaluate
from fastness.ranges.commit import Commit
from fastness.storage import cells
from fastness.storage.contract import CommittedWrites


def versionstamp(timestamp: Timestamp) -> bytes:
    """The 10-byte versionstamp of the transaction committed at `timestamp`."""
    return cells.header(timestamp) + b"\x00\x00"


def assemble(
    commits: list[Commit], first: Timestamp, found: dict[bytes, bytes | None], limits: Limits
) -> list[CommittedWrites]:
    """The writes of each member that commits; the others are failed."""
    overlay = _Overlay(found)
    written: list[CommittedWrites] = []
    timestamp = first
    for commit in commits:
        if commit.is_plain and not found:
            # The overwhelming case; nobody's atomic operations ask for what it writes.
            commit.timestamp = timestamp
            written.append(
                CommittedWrites(timestamp, commit.writes, tuple(commit.erased), commit.expiries)
            )
            timestamp += 1
            continue
        try:
            written.append(_writes_of(commit, timestamp, overlay, limits))
        except FastnessError as error:
            commit.fail(error)
        else:
            commit.timestamp = timestamp
        timestamp += 1
    return written


class _Overlay:
    """Values of the keys that atomic operations touch, as the batch has them so far."""

    __slots__ = ("_found", "_values")

    def __init__(self, found: dict[bytes, bytes | None]) -> None:
        self._found = found
        self._values: dict[bytes, bytes | None] = {}

    def value(self, key: bytes, at: Timestamp) -> tuple[bytes | None, Timestamp]:
        """The value now and its expiry (0 for none)."""
        if key in self._values:
            return self._values[key], 0
        cell = self._found[key]
        value = cells.value_at(cell, at)
        if cell is None or value is None:
            return None, 0
        return value, cells.expiry_of(cell)

    def note(self, writes: CommittedWrites) -> None:
        """Take in what a member writes, where a later member may ask for it."""
        if not self._found:
            return
        for interval in writes.erased:
            for key in self._found:
                if interval.contains(key):
                    self._values[key] = None
        for key in self._found.keys() & writes.writes.keys():
            expires_at = (writes.expiries or {}).get(key, 0)
            value = writes.writes[key]
            if expires_at and value is not None:
                self._values.pop(key, None)
                self._found[key] = cells.expiring(writes.timestamp, expires_at, value)
            else:
                self._values[key] = value


def _writes_of(
    commit: Commit, timestamp: Timestamp, overlay: _Overlay, limits: Limits
) -> CommittedWrites:
    if commit.alive_until and timestamp >= commit.alive_until:
        raise Conflict(
            f"the commit at {timestamp} is not below {commit.alive_until}, where a value it found "
            "alive expires, or a range border cuts its versionstamped keys: run it again"
        )
    writes, expiries = commit.writes, commit.expiries
    if commit.atomics is not None:
        writes = dict(writes)
        expiries = dict(expiries) if expiries else None
        for key, operations in commit.atomics.items():
            value, expires_at = overlay.value(key, timestamp)
            for operation in operations:
                value = evaluate(operation, value, limits.value_bytes)
                if value is None:
                    # Cleared: what a later operation makes is a new value, without an expiry.
                    expires_at = 0
            writes[key] = value
            if expires_at and value is not None:
                expiries = expiries or {}
                expiries[key] = expires_at
    if commit.stamped_keys is not None or commit.stamped_values is not None:
        writes = _stamped(commit, writes, timestamp, limits)
    committed = CommittedWrites(
        timestamp, writes, tuple(commit.erased) if commit.erased else (), expiries
    )
    overlay.note(committed)
    return committed


def _stamped(
    commit: Commit, writes: dict[bytes, bytes | None], timestamp: Timestamp, limits: Limits
) -> dict[bytes, bytes | None]:
    stamp = versionstamp(timestamp)
    writes = dict(writes)
    for stamped in commit.stamped_keys or ():
        if timestamp <= stamped.above:
            raise Conflict(
                f"the commit at {timestamp} is not above {stamped.above}, which its client took to "
                "be issued: run it again"
            )
        key = stamped.prefix + stamp + stamped.suffix
        if len(key) > limits.stored_key_bytes:
            raise LimitExceeded(
                f"versionstamped key of {len(key)} bytes exceeds key_bytes={limits.key_bytes} "
                "beyond its key space: shorten what is around the stamp"
            )
        if not any(one.contains(key) for one in commit.erased[stamped.erased_before :]):
            writes[key] = stamped.value
    for key, (prefix, suffix) in (commit.stamped_values or {}).items():
        writes[key] = prefix + stamp + suffix
    return writes


__all__ = ["assemble", "versionstamp"]
