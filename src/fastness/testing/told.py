"""What somebody is told of a transaction by its id is what became of it, then and ever after.

Whoever asks for the outcome of a transaction under way decides it: one that was not heard of is
told to have aborted, and then must never commit, however late its commit arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from fastness.testing._accusations import Accuser, report_on
from fastness.testing.history import Outcome
from fastness.testing.ledger import Attempt
from fastness.testing.report import Report

_TITLES: Final = {
    "broken-word": "somebody was told another outcome of a transaction than it had",
}


class Told(NamedTuple):
    """An answer to the question what became of a transaction."""

    identity: bytes
    commit_timestamp: int
    """When it committed, 0: never."""


def check_told(attempts: Sequence[Attempt], answers: Sequence[Told]) -> Report:
    """Judge every answer by how the attempt of that id ended; unknown ends prove nothing."""
    report = report_on("told", attempts)
    accuser = Accuser(report, _TITLES)
    by_identity = {one.identity: one for one in attempts if one.identity}
    for told in answers:
        one = by_identity.get(told.identity)
        if one is None or (one.outcome is Outcome.UNKNOWN and not one.commit_timestamp):
            continue
        committed = 0 if one.outcome is Outcome.FAILED else one.commit_timestamp
        if told.commit_timestamp != committed:
            accuser.accuse(
                "broken-word",
                f"{one.name}: told {_words(told.commit_timestamp)}, it {_words(committed)}",
                (one,),
            )
    return report


def _words(timestamp: int) -> str:
    return f"committed at {timestamp}" if timestamp else "aborted"
