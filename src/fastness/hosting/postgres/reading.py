"""Requests to read as one statement, and its rows as answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import SnapshotTooOld, StoreDamaged
from fastness.hosting.remote import StoreAnswer, StoreRead
from fastness.storage.cells import expiring, plain
from fastness.storage.contract import Change, Item

GATHERED_KEYS_MAX = 2_000
"""Keys that requests share one statement up to."""

_KEYS = """
SELECT 0 AS kind, r.range_id AS place, NULL::bytea AS whole, r.number AS committed,
    r.prune_horizon AS expires, NULL::bytea AS value
FROM fastness.ranges r WHERE r.range_id = ANY($3::int8[])
UNION ALL
SELECT 1, k.place, NULL, CASE WHEN n.committed <= k.at THEN n.committed ELSE h.committed END,
    CASE WHEN n.committed <= k.at THEN n.expires ELSE h.expires END,
    CASE WHEN n.committed <= k.at THEN n.value ELSE h.value END
FROM unnest($1::bytea[], $2::int8[]) WITH ORDINALITY AS k(whole, at, place)
LEFT JOIN fastness.newest n ON n.key = fastness.head(k.whole) AND n.tag = fastness.tag(k.whole)
LEFT JOIN LATERAL (
    SELECT o.committed, o.expires, o.value FROM fastness.history o
    WHERE o.key = fastness.head(k.whole) AND o.tag = fastness.tag(k.whole) AND o.ended > k.at
        AND (n.committed <= k.at) IS NOT TRUE AND k.at < 9223372036854775807
    ORDER BY o.ended LIMIT 1
) AS h ON true
WHERE n.committed <= k.at OR h.committed <= k.at
"""
_SCAN = """
UNION ALL
SELECT 2, 0, s.whole, s.committed, s.expires, s.value
FROM fastness.scan($4::bytea, $5::bytea, $6::int8, $7::int4, $8::bool) AS s
"""
CHANGES = """
SELECT 0 AS kind, max(r.prune_horizon) AS committed, NULL::int8 AS range_id, NULL::bytea AS whole,
    NULL::bool AS deleted, NULL::int8 AS expires, NULL::bytea AS value
FROM fastness.ranges r
UNION ALL
SELECT 1, e.committed, e.range_id, k.whole, k.deleted, v.expires, v.value
FROM (
    SELECT l.* FROM fastness.log l WHERE l.committed > $1::int8 AND l.committed <= $2::int8
    ORDER BY l.committed FETCH FIRST ($3::int8) ROWS WITH TIES
) AS e
CROSS JOIN LATERAL (
    SELECT w.whole, false FROM unnest(e.fresh || e.replaced) AS w(whole)
    UNION ALL
    SELECT d.whole, true FROM unnest(e.deleted) AS d(whole)
) AS k(whole, deleted)
LEFT JOIN LATERAL (
    SELECT n.expires, n.value FROM fastness.newest n
    WHERE n.key = fastness.head(k.whole) AND n.tag = fastness.tag(k.whole)
        AND n.committed = e.committed
    UNION ALL
    SELECT o.expires, o.value FROM (
        SELECT h.* FROM fastness.history h
        WHERE h.key = fastness.head(k.whole) AND h.tag = fastness.tag(k.whole)
            AND h.ended > e.committed
        ORDER BY h.ended LIMIT 1
    ) AS o WHERE o.committed = e.committed
) AS v ON NOT k.deleted
"""
_LIMIT_MAX = 1 << 30


class Question(NamedTuple):
    """A statement and its arguments."""

    statement: str
    args: tuple[object, ...]


def question(requests: Sequence[StoreRead]) -> Question:
    """The statement that answers requests together; one with a scan comes alone."""
    keys: list[bytes] = []
    ats: list[Timestamp] = []
    for request in requests:
        keys.extend(request.keys)
        ats.extend([request.at] * len(request.keys))
    ranges = list({request.range_id for request in requests})
    scan = requests[0].scan
    if scan is None or scan.limit < 1 or scan.begin >= scan.end:
        return Question(_KEYS, (keys, ats, ranges))
    limit = min(scan.limit, _LIMIT_MAX)
    wanted = (scan.begin, scan.end, requests[0].at, limit, scan.reverse)
    return Question(_KEYS + _SCAN, (keys, ats, ranges, *wanted))


def answers(requests: Sequence[StoreRead], rows: Sequence[Any]) -> list[StoreAnswer]:
    """What the rows of that statement say to each request."""
    found: dict[int, bytes] = {}
    ranges: dict[int, tuple[int, Timestamp]] = {}
    entries: list[Item] = []
    for kind, place, key, committed, expires, value in rows:
        if kind == 0:
            ranges[place] = committed, expires
        elif kind == 1:
            found[place - 1] = _cell(committed, expires, value)
        else:
            entries.append((key, _cell(committed, expires, value)))
    given: list[StoreAnswer] = []
    begin = 0
    for request in requests:
        end = begin + len(request.keys)
        number, horizon = ranges.get(request.range_id, (-1, 0))
        cells = [found.get(place) for place in range(begin, end)]
        given.append(StoreAnswer(cells, [], number, horizon))
        begin = end
    scan = requests[0].scan
    if scan is not None:
        entries.sort(reverse=scan.reverse)
        given[0].entries.extend(entries[: scan.limit])
    return given


def changes(after: Timestamp, rows: Sequence[Any]) -> list[Change]:
    """The commits that the rows of `CHANGES` tell of."""
    kept_from = rows[0]["committed"] or 0
    if after < kept_from:
        raise SnapshotTooOld(
            f"changes after timestamp {after} are asked for, but those up to {kept_from} are "
            "pruned: start again from a snapshot"
        )
    entries: dict[tuple[Timestamp, int], list[Any]] = {}
    for row in rows[1:]:
        entries.setdefault((row["committed"], row["range_id"]), []).append(row)
    return [_change(entry[0], entries[entry]) for entry in sorted(entries)]


def changes_up_to(up_to: Timestamp) -> Timestamp:
    """The end of an interval of commits, not above every timestamp."""
    return min(up_to, TIMESTAMP_MAX)


def _change(timestamp: Timestamp, rows: list[Any]) -> Change:
    for row in rows:
        if not row["deleted"] and row["value"] is None:
            raise StoreDamaged(
                f"the log tells that {row['whole']!r} was written at {timestamp}, but that version "
                "is gone: restore a backup"
            )
    writes = sorted((row["whole"], row["value"]) for row in rows)
    expiries = sorted((row["whole"], row["expires"]) for row in rows if row["expires"] is not None)
    return Change(timestamp, tuple(writes), tuple(expiries))


def _cell(committed: Timestamp, expires: Timestamp | None, value: bytes) -> bytes:
    return plain(committed, value) if expires is None else expiring(committed, expires, value)
