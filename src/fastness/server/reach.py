"""How far a request reaches: what it costs, and the first thing it names outside a key space.

A tenant's keys all begin with its prefix, so a key is inside if it does, and an interval if both
its ends lie within the prefix's own. The identity of a transaction carries the key whose range
decides it, which must be the tenant's too; the spans of a `Decide` are those of whole ranges, as
the participants named them, and only say whom to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastness.errors import PermissionDenied
from fastness.ranges.identity import anchor_of
from fastness.ranges.requests import (
    CommitOne,
    Content,
    Decide,
    Interval,
    Prepare,
    Read,
    Reserve,
    intervals_of,
    keys_of,
)
from fastness.server.access import Access
from fastness.wire.messages import Body


def operations_in(body: Body) -> int:
    """How many operations a request is: each key and each interval it names, at least one."""
    if type(body) is Read:
        return len(body.keys) + (body.scan is not None) or 1
    if type(body) is CommitOne or type(body) is Prepare:
        return _operations_in_content(body.content) or 1
    return 1


def _operations_in_content(content: Content) -> int:
    return (
        len(content.read_keys)
        + len(content.read_intervals)
        + len(content.writes)
        + len(content.erased)
        + len(content.atomics)
        + len(content.stamped_keys)
        + len(content.stamped_values)
    )


def outside(access: Access, body: Body) -> PermissionDenied | None:
    """The refusal of a request that names something outside the holder's key space."""
    keys = _keys_in(body)
    # The least and the greatest speak for all between them.
    if keys and (min(keys) < access.begin or max(keys) >= access.end):
        key = next(key for key in keys if not key.startswith(access.prefix))
        return _denied(access, f"key {_short(key)}")
    for begin, end in _intervals_in(body):
        if not access.begin <= begin <= end <= access.end:
            return _denied(access, f"interval {_short(begin)} to {_short(end)}")
    return None


def _keys_in(body: Body) -> Sequence[bytes]:
    if type(body) is Read or type(body) is Reserve:
        return body.keys
    if type(body) is CommitOne or type(body) is Prepare:
        # A stamp comes after its prefix, so the key lies where the prefix does.
        stamps = [stamped.prefix for stamped in body.content.stamped_keys]
        return [anchor_of(body.id), *keys_of(body.content), *stamps]
    if type(body) is Decide:
        return (anchor_of(body.id),)
    return ()


def _intervals_in(body: Body) -> Iterable[Interval]:
    if type(body) is Read:
        return () if body.scan is None else ((body.scan.begin, body.scan.end),)
    if type(body) is Reserve:
        return body.intervals
    if type(body) is CommitOne or type(body) is Prepare:
        return intervals_of(body.content)
    return ()


def _denied(access: Access, what: str) -> PermissionDenied:
    return PermissionDenied(
        f"{what} lies outside the key space {_short(access.prefix)} of token {access.name!r}: use "
        "keys that begin with it"
    )


def _short(key: bytes) -> str:
    return repr(key if len(key) <= 40 else key[:40] + b"..")
