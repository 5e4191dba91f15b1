"""A participant's part of a transaction over several ranges, as it is kept durably. Pure.

An intent holds everything its range needs to finish the transaction without its coordinator:
what will be written (atomic operations already evaluated, versionstamps still open), what was
read (its shared locks), and the floor that its commit timestamp lies above.
"""

from __future__ import annotations

import msgspec

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.ranges.batching import versionstamp
from fastness.ranges.commit import Stamped
from fastness.ranges.identity import TransactionId
from fastness.ranges.requests import Interval, Write
from fastness.storage.contract import CommittedWrites


class Intent(msgspec.Struct, frozen=True, array_like=True):
    """What one range promised to one transaction."""

    id: TransactionId
    priority: Timestamp
    deadline: Timestamp
    floor: Timestamp
    span: Interval
    alive_until: Timestamp
    read_keys: list[bytes]
    read_intervals: list[Interval]
    writes: list[Write]
    erased: list[Interval]
    stamped_keys: list[Stamped]
    stamped_values: dict[bytes, tuple[bytes, bytes]]
    write_keys: list[bytes]
    """Declared as written, without a value."""
    write_intervals: list[Interval]


def written_keys(intent: Intent) -> list[bytes]:
    """Every single key the intent write-locks, in order of mention."""
    return [
        *(write.key for write in intent.writes),
        *intent.stamped_values,
        *intent.write_keys,
    ]


def written_intervals(intent: Intent) -> list[KeyInterval]:
    """Erased and declared intervals."""
    return [KeyInterval(*one) for one in (*intent.erased, *intent.write_intervals)]


def stamped_intervals(intent: Intent) -> list[KeyInterval]:
    """Where its versionstamped keys may come to lie."""
    floor, below = intent.floor, intent.alive_until
    return [one.interval(floor=floor, below=below) for one in intent.stamped_keys]


def highest_floor(floor: Timestamp, stamped_keys: list[Stamped]) -> Timestamp:
    """What must be committed above: a floor, and all that the stamps come after.

    Of an intent it is more than its floor only after a merge, which keeps the lower floor.
    """
    return max([floor, *(one.above for one in stamped_keys)])


def resolved_writes(intent: Intent, timestamp: Timestamp) -> CommittedWrites:
    """What the intent becomes once its transaction is committed at `timestamp`."""
    stamp = versionstamp(timestamp)
    writes: dict[bytes, bytes | None] = {}
    expiries: dict[bytes, Timestamp] = {}
    for write in intent.writes:
        writes[write.key] = write.value
        if write.expires_at and write.value is not None:
            expiries[write.key] = write.expires_at
    for stamped in intent.stamped_keys:
        key = stamped.prefix + stamp + stamped.suffix
        later = intent.erased[stamped.erased_before :]
        if not any(begin <= key < end for begin, end in later):
            writes[key] = stamped.value
    for key, (prefix, suffix) in intent.stamped_values.items():
        writes[key] = prefix + stamp + suffix
    erased = tuple(KeyInterval(*one) for one in intent.erased)
    return CommittedWrites(timestamp, writes, erased, expiries or None)


def clip_intent(intent: Intent, interval: KeyInterval) -> Intent | None:
    """The part of an intent inside a child's interval; `None` where nothing of it lies there.

    A stamped key's interval lies wholly in one child: no split falls inside that of an intent.
    """

    def inside(key: bytes) -> bool:
        return interval.contains(key)

    floor = intent.floor
    stamped = [one for one in intent.stamped_keys if inside(one.interval(floor=floor).begin)]
    part = msgspec.structs.replace(
        intent,
        read_keys=[key for key in intent.read_keys if inside(key)],
        read_intervals=_clip_all(intent.read_intervals, interval),
        writes=[write for write in intent.writes if inside(write.key)],
        # Every erased interval is kept, so that `erased_before` still counts right; those
        # that lie outside become empty.
        erased=[_clip(one, interval) for one in intent.erased],
        stamped_keys=stamped,
        stamped_values={k: v for k, v in intent.stamped_values.items() if inside(k)},
        write_keys=[key for key in intent.write_keys if inside(key)],
        write_intervals=_clip_all(intent.write_intervals, interval),
    )
    holds = (
        part.read_keys
        or part.read_intervals
        or part.writes
        or any(begin < end for begin, end in part.erased)
        or part.stamped_keys
        or part.stamped_values
        or part.write_keys
        or part.write_intervals
    )
    return part if holds else None


def _clip(one: Interval, interval: KeyInterval) -> Interval:
    begin, end = max(one[0], interval.begin), min(one[1], interval.end)
    return (begin, end) if begin < end else (interval.begin, interval.begin)


def _clip_all(intervals: list[Interval], interval: KeyInterval) -> list[Interval]:
    clipped = (_clip(one, interval) for one in intervals)
    return [one for one in clipped if one[0] < one[1]]


def join_intents(left: Intent, right: Intent) -> Intent:
    """One intent of the two parts that the halves of a merge held of one transaction."""
    kept = len(left.erased)
    shifted = [
        msgspec.structs.replace(one, erased_before=one.erased_before + kept)
        for one in right.stamped_keys
    ]
    return msgspec.structs.replace(
        left,
        # Nothing is known to be above either floor, so the lower one bounds what is closed.
        floor=min(left.floor, right.floor),
        alive_until=min(filter(None, (left.alive_until, right.alive_until)), default=0),
        deadline=max(left.deadline, right.deadline),
        span=(min(left.span[0], right.span[0]), max(left.span[1], right.span[1])),
        read_keys=left.read_keys + right.read_keys,
        read_intervals=left.read_intervals + right.read_intervals,
        writes=left.writes + right.writes,
        erased=left.erased + right.erased,
        stamped_keys=left.stamped_keys + shifted,
        stamped_values={**left.stamped_values, **right.stamped_values},
        write_keys=left.write_keys + right.write_keys,
        write_intervals=left.write_intervals + right.write_intervals,
    )
