"""What is asked of a range, and what it answers: the bodies of messages, as plain structures.

They are `msgspec` structures so that the wire needs no second form of them (`fastness.wire`
wraps them into frames). Every request to a range names the range and the generation its
sender believes in; a leaseholder refuses any other with `RangeMoved`.

========== ================================ =====================================================
request    answer                           meaning
========== ================================ =====================================================
Read       ReadAnswer                       point reads and one scan, latest or at a timestamp
CommitOne  Decision                         a whole transaction in one range, one message
Prepare    Prepared                         a participant's part of a transaction over ranges
Decide     Decision                         at the anchor: commit at T, or abort (T = 0); the
                                            first decision stands and is what everybody gets
Ask        Decision, or Pending             at the anchor: a participant or reader asks
Resolve    Resolved                         at a participant: apply the decision
Reserve    Done                             a starving transaction keeps others away for a while
RenewCache Grant                            keep a cache lease alive
========== ================================ =====================================================

Anything may be answered by a `Refusal`, which carries an error of the one taxonomy.
"""

from __future__ import annotations

import msgspec

from fastness.encoding.timestamps import Timestamp
from fastness.ranges.commit import Stamped
from fastness.ranges.identity import TransactionId

Interval = tuple[bytes, bytes]
"""begin and end of a half-open interval, as it travels."""


class Scan(msgspec.Struct, frozen=True, array_like=True):
    """The first `limit` entries of [begin, end), or the last against the order."""

    begin: bytes
    end: bytes
    limit: int
    reverse: bool = False


class Read(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Point reads and at most one scan in one range, at one moment.

    `at` 0 asks for the latest. With `cache` the answer is to be kept: `lease` is the cache lease
    the client holds for this range (0: none yet), and `at` must be 0.
    """

    range_id: int
    generation: int
    keys: list[bytes]
    scan: Scan | None = None
    at: Timestamp = 0
    cache: bool = False
    lease: int = 0
    each: bool = False
    """The keys have nothing to do with each other: one that must wait keeps no other waiting.

    Without scan and `cache`. Each is true at a moment between call and answer, or at `at`.
    """


class Grant(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """A cache lease. `lease` other than the one asked with is new: what was cached is void.

    The client counts `milliseconds` from before it sent the request. `valid_from` is the highest
    commit timestamp the range had applied when it answered.
    """

    lease: int
    epoch: int
    milliseconds: int
    valid_from: Timestamp


class ReadAnswer(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """Cells (`storage.cells`) in the order of the keys asked, and of the scan's entries.

    `at` is the timestamp the answer is true at. `complete` tells whether the scan reached the
    end of its interval *within this range*. `grant` is absent where the answer must not be kept
    (something in it is locked, or caching was not asked for).
    """

    cells: list[bytes | None]
    entries: list[tuple[bytes, bytes]]
    complete: bool
    at: Timestamp
    grant: Grant | None = None
    waiting: list[int] = []
    """Places of cells that are not told, as something undecided is in their way: ask for those
    alone. Only where `each` was asked."""


class Write(msgspec.Struct, frozen=True, array_like=True):
    """A value (`None`: deleted) and its expiry (0: none)."""

    key: bytes
    value: bytes | None
    expires_at: Timestamp = 0


class Content(msgspec.Struct, frozen=True, array_like=True):
    """What one transaction read and wrote in one range.

    Reads are true as of `read_timestamp`. Intervals lie wholly inside the range.
    """

    read_timestamp: Timestamp = 0
    read_keys: list[bytes] = []
    read_intervals: list[Interval] = []
    writes: list[Write] = []
    erased: list[Interval] = []
    atomics: dict[bytes, list[tuple[int, bytes]]] = {}
    stamped_keys: list[Stamped] = []
    stamped_values: dict[bytes, tuple[bytes, bytes]] = {}
    write_keys: list[bytes] = []
    write_intervals: list[Interval] = []
    alive_until: Timestamp = 0
    """The smallest expiry of a value found alive, 0 for none: the commit must lie below."""
    size: int = 0
    """Bytes of keys and values written."""


def keys_of(content: Content) -> list[bytes]:
    """Every single key a content names; versionstamped ones have no name yet."""
    keys = [write.key for write in content.writes]
    if content.read_keys:
        keys += content.read_keys
    if content.atomics or content.stamped_values or content.write_keys:
        keys += [*content.atomics, *content.stamped_values, *content.write_keys]
    return keys


def places_of(content: Content) -> list[bytes]:
    """Every key that must lie in the range: those named, and the least the stamps may make."""
    keys = keys_of(content)
    if content.stamped_keys:
        keys += [stamped.first for stamped in content.stamped_keys]
    return keys


def intervals_of(content: Content) -> list[Interval]:
    """Every interval a content names."""
    return [*content.read_intervals, *content.erased, *content.write_intervals]


class CommitOne(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A transaction all of whose keys lie in one range. A resend is the same, byte for byte.

    `lease` is the cache lease of the sender for this range (0: none): what it cached of the
    keys written it has dropped itself.
    """

    range_id: int
    generation: int
    id: TransactionId
    priority: Timestamp
    content: Content
    lease: int = 0


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A participant's part; promised durably until the anchor's decision arrives."""

    range_id: int
    generation: int
    id: TransactionId
    priority: Timestamp
    deadline: Timestamp
    content: Content
    lease: int = 0


class Prepared(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """The part is durable. The commit timestamp must be above `floor`.

    With `alive_until` (not 0) it must also lie below that. `span` is the interval of the range:
    whoever holds any of it at the end must hear the decision.
    """

    floor: Timestamp
    alive_until: Timestamp
    span: Interval


class Decide(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Decide a transaction at its anchor: commit at `timestamp`, or abort with 0.

    An abort of an id nobody knows is written as well, so that it can never commit later.
    `spans` are those of all participants.
    """

    range_id: int
    generation: int
    id: TransactionId
    timestamp: Timestamp
    spans: list[Interval] = []


class Decision(msgspec.Struct, frozen=True, array_like=True, tag=23):
    """The one durable decision: committed at `timestamp`, or aborted (0)."""

    timestamp: Timestamp


class Ask(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """What became of a transaction? Past `deadline` the anchor decides to abort it."""

    range_id: int
    generation: int
    id: TransactionId
    deadline: Timestamp


class Pending(msgspec.Struct, frozen=True, array_like=True, tag=24):
    """Undecided, and its deadline has not passed."""


class Resolve(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Apply the decision to every intent and lock the range has of the transaction."""

    range_id: int
    generation: int
    id: TransactionId
    timestamp: Timestamp


class Resolved(msgspec.Struct, frozen=True, array_like=True, tag=25):
    """Nothing of the transaction is undecided within `span` any more, durably."""

    span: Interval


class Reserve(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Keep younger transactions from writing these for `milliseconds` at most (0: release)."""

    range_id: int
    generation: int
    priority: Timestamp
    nonce: int
    keys: list[bytes]
    intervals: list[Interval]
    milliseconds: int


class RenewCache(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Keep the cache lease of this range alive; answered by a `Grant` (a new lease: all void)."""

    range_id: int
    generation: int
    lease: int


class Done(msgspec.Struct, frozen=True, array_like=True, tag=26):
    """It is done."""


class Invalidate(msgspec.Struct, frozen=True, array_like=True, tag=40):
    """To a client: drop these at once, and fills under way of them; then acknowledge `number`.

    `everything` voids the lease itself.
    """

    range_id: int
    epoch: int
    lease: int
    number: int
    keys: list[bytes]
    intervals: list[Interval]
    everything: bool = False


class InvalidateAck(msgspec.Struct, frozen=True, array_like=True, tag=41):
    """To the leaseholder: dropped."""

    range_id: int
    epoch: int
    lease: int
    number: int


RangeRequest = Read | CommitOne | Prepare | Decide | Ask | Resolve | Reserve | RenewCache
RangeAnswer = ReadAnswer | Prepared | Decision | Pending | Resolved | Done | Grant
