"""How fresh a read must be: the present, a moment that is known, or a moment not long ago.

Without any, reads are linearizable. With a weaker one a transaction may read an older snapshot,
all of it of one moment, and saves the question what time it is; whether what it writes may
commit is judged as ever. What cannot be met raises: nothing is ever served that is older.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import InvalidOption, InvalidTimestamp


@dataclass(frozen=True, slots=True)
class AtLeast:
    """At least as fresh as this timestamp, for example that of a commit: "read what I wrote"."""

    timestamp: Timestamp

    def __post_init__(self) -> None:
        if type(self.timestamp) is not int or not 0 <= self.timestamp <= TIMESTAMP_MAX:
            raise InvalidTimestamp(
                f"AtLeast({self.timestamp!r}) is no timestamp: give what a write answered, "
                "tx.commit_timestamp or db.now()"
            )


@dataclass(frozen=True, slots=True)
class Within:
    """As of a moment at most this long ago (bounded staleness)."""

    milliseconds: float

    def __post_init__(self) -> None:
        if type(self.milliseconds) not in (int, float) or not self.milliseconds > 0:
            raise InvalidOption(
                f"Within({self.milliseconds!r}) is not a positive number of milliseconds; leave "
                "freshness= out to read the present"
            )


Freshness = AtLeast | Within


def check_freshness(freshness: object) -> None:
    """Refuse what is neither, as a user may give anything."""
    if freshness is not None and not isinstance(freshness, AtLeast | Within):
        raise InvalidOption(
            f"freshness={freshness!r} is neither AtLeast(timestamp) nor Within(milliseconds); "
            "leave it out to read the present"
        )


__all__ = ["AtLeast", "Freshness", "Within", "check_freshness"]
