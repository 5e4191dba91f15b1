"""Values that expire: alive below their expiry for everybody, gone from it on for everybody.

Expiry is judged by timestamps alone, and the values say when they expire (`Set.expires_at` of
whoever wrote them; values are unique for their key). So

1. a snapshot at or above the expiry does not show the value;
2. an attempt that found it alive, and wrote, commits below the expiry;
3. once anybody was told a timestamp at or above the expiry, whoever begins later finds it gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from fastness.testing._accusations import Accuser, report_on
from fastness.testing._ledger_words import shown_bytes, shown_moment
from fastness.testing.history import Outcome
from fastness.testing.ledger import Attempt, Set
from fastness.testing.report import Report

_TITLES: Final = {
    "read-after-expiry": "a snapshot shows a value that had expired",
    "commit-after-expiry": "a transaction found a value alive and committed after it expired",
    "revived": "a value was seen alive after a timestamp beyond its expiry had been told",
}


def check_expiry(attempts: Sequence[Attempt]) -> Report:
    """Judge what attempts found of expiring values."""
    report = report_on("expiry", attempts)
    accuser = Accuser(report, _TITLES)
    expiries = _expiries(attempts)
    for one in attempts:
        for key, value in one.found():
            expires_at, writer = expiries.get((key, value), (0, None))
            if not expires_at:
                continue
            end = f"{shown_bytes(value)} of {shown_bytes(key)}, which expires at "
            end += shown_moment(expires_at)
            if one.read_timestamp >= expires_at:
                what = f"{one.name} read at {shown_moment(one.read_timestamp)} {end}"
                accuser.accuse("read-after-expiry", what, (one, writer), key)
            elif one.writes_at >= expires_at:
                what = f"{one.name} committed at {shown_moment(one.writes_at)} having found {end}"
                accuser.accuse("commit-after-expiry", what, (one, writer), key)
    _judge_revivals(attempts, expiries, accuser)
    return report


def _expiries(attempts: Sequence[Attempt]) -> dict[tuple[bytes, bytes], tuple[int, Attempt]]:
    return {
        (effect.key, effect.value): (effect.expires_at, one)
        for one in attempts
        for effect in one.writes
        if isinstance(effect, Set) and effect.value is not None and effect.expires_at
    }


def _judge_revivals(
    attempts: Sequence[Attempt],
    expiries: dict[tuple[bytes, bytes], tuple[int, Attempt]],
    accuser: Accuser,
) -> None:
    """Go through beginnings and ends, knowing the highest timestamp told so far."""
    events = [(one.invoked, False, one) for one in attempts]
    events += [(one.completed, True, one) for one in attempts if one.completed is not None]
    told, teller = 0, None
    for _, ends, one in sorted(events, key=itemgetter(0)):
        if ends:
            timestamp = one.writes_at if one.outcome is Outcome.OK else 0
            timestamp = max(timestamp, one.read_timestamp)
            if timestamp > told:
                told, teller = timestamp, one
            continue
        for key, value in () if one.past else one.found():
            expires_at, writer = expiries.get((key, value), (0, None))
            if 0 < expires_at <= told and teller is not None:
                what = (
                    f"{one.name} read {shown_bytes(value)} of {shown_bytes(key)}, which expired at "
                    f"{shown_moment(expires_at)}, after {teller.name} was told {shown_moment(told)}"
                )
                accuser.accuse("revived", what, (one, writer, teller), key)
