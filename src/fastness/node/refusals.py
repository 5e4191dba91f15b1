"""Refusals as they travel: an error of the taxonomy, and what corrects a stale map."""

from __future__ import annotations

import msgspec

from fastness.errors import Conflict, FastnessError, Overloaded, RangeMoved
from fastness.placement.cluster_view import ClusterView
from fastness.placement.descriptors import Descriptor
from fastness.ranges.identity import anchor_of
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Decide,
    Prepare,
    RangeRequest,
    Read,
    Resolve,
)
from fastness.wire.messages import CALL, Refusal


class _Head(msgspec.Struct, array_like=True):
    """The part of a frame that says whom to refuse, if nothing else can be read."""

    version: int
    kind: int
    number: int


_decode_head = msgspec.msgpack.Decoder(_Head).decode


def number_in(data: bytes) -> int:
    """The number of a call whose frame cannot be taken, 0 where there is none."""
    try:
        head = _decode_head(data)
    except msgspec.DecodeError:
        return 0
    return head.number if head.kind == CALL and head.number > 0 else 0


def refusal_of(
    error: FastnessError, descriptors: list[Descriptor] | None = None, oracle: str = ""
) -> Refusal:
    """An error as it travels."""
    conflict = error if isinstance(error, Conflict) else None
    return Refusal(
        code=error.code,
        message=str(error),
        key=conflict.key if conflict else b"",
        winner=conflict.winner if conflict else 0,
        descriptors=descriptors or [],
        oracle=oracle,
        retry_after_ms=error.retry_after_ms if isinstance(error, Overloaded) else 0,
    )


def moved(what: str) -> RangeMoved:
    """The error for a request at the wrong place."""
    return RangeMoved(f"{what}: ask the holder named in the descriptors")


def corrections(view: ClusterView, request: RangeRequest) -> list[Descriptor]:
    """The newest descriptors known of the range asked for, and of a key that was asked for."""
    found = {}
    placed = view.ranges.get(request.range_id)
    if placed is not None:
        found[request.range_id] = placed.descriptor
    key = _key_in(request)
    by_key = None if key is None else view.routes.holder_of(key)
    if by_key is not None:
        found.setdefault(by_key.range_id, by_key)
    return list(found.values())


def _key_in(request: RangeRequest) -> bytes | None:
    if isinstance(request, CommitOne | Prepare):
        content = request.content
        keys = content.write_keys or content.read_keys
        intervals = content.write_intervals or content.read_intervals
        return keys[0] if keys else intervals[0][0] if intervals else None
    if isinstance(request, Decide | Ask | Resolve):
        return anchor_of(request.id)
    if isinstance(request, Read):
        if request.keys:
            return request.keys[0]
        return None if request.scan is None else request.scan.begin
    return None
