"""Reading everything, again and again, without fetching what is known already. Pure.

::

    small keys     all but ranges/: sessions, nodes, the oracle, ...   read whole, each time
    ranges/        descriptors, perhaps thousands                      only those written since
    ranges-changed written with every change under ranges/             tells that there is any

One transaction compares the revision of `ranges-changed` with the one known, and reads at one
instant either the small keys alone, or also the descriptors written since the last reading, at
most `PAGE`, the oldest first, and how many descriptors there are.

Why the answer is exact. Let the known entries be those at revision r, and the reading be made at
revision s. An entry that exists at s was written last either after r, and is in the answer, or
at or before r, and then is known with that value: so known entries, with those answered laid over
them, hold every entry of s, and perhaps some that are gone. They are as many as there are at s
only if none is gone; otherwise everything is read anew. Where more was written than fits, the
next reading asks from the last revision answered on (its other entries come again, which does no
harm); the argument is the same with that revision as r, as nothing written later was left out
before it. Where `ranges-changed` stands as it was, nothing under ranges/ was written or deleted
in between, since whoever does either writes it in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastness.hosting.etcd.messages import Json, KeyValue, TxnAnswer, compared, end_of, ranged
from fastness.invariants import check
from fastness.placement.coordinator import RANGES, Entry

CHANGED = "ranges-changed"
"""Beside ranges/, in front of it in the order of keys, and told to nobody."""

PAGE = 1_000
"""Descriptors fetched at a time; more than one transaction writes, so that each page gets on."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a reading found under ranges/, for the next one to begin with."""

    revision: int = 0
    """Every entry written last at or before it, while it exists, is in `ranges`."""
    changed: int = 0
    """The revision of `ranges-changed`; 0: not known, or there is none."""
    ranges: dict[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one transaction made of it; not `complete`: another one has to follow."""

    known: Known
    complete: bool
    entries: dict[str, Entry] = field(default_factory=dict)
    """Every key but `ranges-changed`, in order, where complete."""


def reading_request(root: bytes, known: Known) -> Json:
    """The transaction that reads what is not known."""
    ranges = root + RANGES.encode()
    small = [ranged(root, ranges), ranged(end_of(ranges), end_of(root))]
    since = ranged(
        ranges,
        end_of(ranges),
        min_mod_revision=str(known.revision + 1),
        limit=str(PAGE),
        sort_order="ASCEND",
        sort_target="MOD",
    )
    # A first reading, which knows nothing, asks for everything, though nothing was ever changed.
    compare = compared(root + CHANGED.encode(), known.changed if known.revision else -1)
    return {"compare": [compare], "success": small, "failure": [*small, since]}


def reading_of(root: bytes, known: Known, answer: TxnAnswer) -> Reading:
    """What the answer makes of what was known."""
    before, behind, *since = (one.response_range for one in answer.responses)
    small = entries_of(root, [*before.kvs, *behind.kvs])
    changed = small.pop(CHANGED, Entry(b"", 0)).revision
    revision = answer.header.revision
    check(answer.succeeded or len(since) == 1, "a reading of another form than was asked for")
    if answer.succeeded:
        known = Known(revision, known.changed, known.ranges)
        return Reading(known, complete=True, entries=_merged(small, known.ranges))
    page = since[0]
    found = entries_of(root, page.kvs)
    ranges = {**known.ranges, **found}
    if page.more:
        # What was written in the last revision answered may be there in part: again from it on.
        last = max(one.revision for one in found.values()) - 1
        return Reading(Known(last, 0, ranges), complete=False)
    if len(ranges) != page.count:
        check(bool(known.ranges), "etcd counts other keys than it answers")
        return Reading(Known(), complete=False)
    known = Known(revision, changed, dict(sorted(ranges.items())))
    return Reading(known, complete=True, entries=_merged(small, known.ranges))


def entries_of(root: bytes, kvs: list[KeyValue]) -> dict[str, Entry]:
    """Keys as the contract has them."""
    size = len(root)
    return {one.key[size:].decode("utf-8", "replace"): one.entry for one in kvs}


def _merged(small: dict[str, Entry], ranges: dict[str, Entry]) -> dict[str, Entry]:
    """Both, in the order of keys."""
    before = {key: entry for key, entry in small.items() if key < RANGES}
    behind = {key: entry for key, entry in small.items() if key > RANGES}
    return {**before, **ranges, **behind}
