"""Ledger attempts, keys and moments as explanations print them."""

from __future__ import annotations

from collections.abc import Sequence

from fastness.testing._timeline import Version
from fastness.testing.history import Outcome
from fastness.testing.ledger import (
    Add,
    Attempt,
    Effect,
    Erase,
    Extend,
    Scanned,
    Set,
    StampKey,
    StampValue,
)

_LOGICAL_BITS = 18
_BYTES_SHOWN = 48
_PARTS_SHOWN = 10


def shown_bytes(value: bytes | None) -> str:
    """A key or value; nothing for an absence."""
    if value is None:
        return "nothing"
    text = repr(value[:_BYTES_SHOWN])[2:-1]
    return f"{text}.." if len(value) > _BYTES_SHOWN else text or "''"


def shown_moment(timestamp: int) -> str:
    """A timestamp: its milliseconds, and its counter where there is one."""
    milliseconds, logical = timestamp >> _LOGICAL_BITS, timestamp & ((1 << _LOGICAL_BITS) - 1)
    if not milliseconds:
        return str(logical)
    return f"{milliseconds}ms+{logical}"


def shown_version(version: Version, timestamp: int) -> str:
    """What a key holds at a moment, since when, and by whom."""
    if version.value is not None and version.at(timestamp) is None:
        return f"nothing since {shown_moment(version.expires_at)}, when it expired"
    if version.writer < 0:
        return "nothing, nobody ever wrote it"
    by = f"by T{version.writer} at {shown_moment(version.begin)}"
    return f"{shown_bytes(version.value)} {by}"


def shown_attempt(one: Attempt, keys: Sequence[bytes] = ()) -> str:
    """An attempt on one line; where keys are given, only what concerns them."""
    outcome = "" if one.outcome is Outcome.OK else f" {one.outcome.value}"
    completed = "?" if one.completed is None else one.completed
    moments = f" R={shown_moment(one.read_timestamp)}" if one.read_timestamp else ""
    if one.commit_timestamp and one.writes:
        moments += f" C={shown_moment(one.commit_timestamp)}"
    parts = [
        f"read {shown_bytes(key)} -> {shown_bytes(value)}"
        for key, value in one.reads
        if not keys or key in keys
    ]
    scans = (*one.scans, *one.loose)
    parts += [_shown_scan(scan) for scan in scans if not keys or _concerns(scan, keys)]
    parts += [_shown_effect(effect) for effect in one.writes if not keys or _touches(effect, keys)]
    left_out = len(one.reads) + len(scans) + len(one.writes) - len(parts[:_PARTS_SHOWN])
    parts = parts[:_PARTS_SHOWN]
    if left_out > 0:
        parts.append(f"and {left_out} more")
    label = f" {one.kind}" if one.kind else ""
    head = f"{one.name}{label}  process {one.process}, {one.invoked}..{completed}{outcome}{moments}"
    return f"{head}:  {'; '.join(parts)}"


def _concerns(scan: Scanned, keys: Sequence[bytes]) -> bool:
    return any(scan.begin <= key < scan.end for key in keys)


def _shown_scan(scan: Scanned) -> str:
    if scan.single:
        value = scan.entries[0][1] if scan.entries else None
        return f"read {shown_bytes(scan.begin)} -> {shown_bytes(value)}"
    return (
        f"scan [{shown_bytes(scan.begin)}, {shown_bytes(scan.end)}) -> {len(scan.entries)} entries"
    )


def _touches(effect: Effect, keys: Sequence[bytes]) -> bool:
    match effect:
        case Erase(begin, end):
            return any(begin <= key < end for key in keys)
        case StampKey(prefix):
            return any(key.startswith(prefix) for key in keys)
        case Set(key) | Add(key) | Extend(key) | StampValue(key):
            return key in keys


def _shown_effect(effect: Effect) -> str:
    text = repr(effect)
    match effect:
        case Set(key, None):
            text = f"delete {shown_bytes(key)}"
        case Set(key, value, expires_at):
            until = f" until {shown_moment(expires_at)}" if expires_at else ""
            text = f"write {shown_bytes(key)} {shown_bytes(value)}{until}"
        case Erase(begin, end):
            text = f"erase [{shown_bytes(begin)}, {shown_bytes(end)})"
        case Add(key, amount):
            text = f"add {shown_bytes(key)} {amount}"
        case Extend(key, value):
            text = f"extend {shown_bytes(key)} {shown_bytes(value)}"
        case StampKey(prefix, value, suffix):
            rest = shown_bytes(suffix) if suffix else ""
            text = f"write {shown_bytes(prefix)}<stamp>{rest} {shown_bytes(value)}"
        case StampValue(key, prefix):
            text = f"write {shown_bytes(key)} {shown_bytes(prefix)}<stamp>"
    return text
