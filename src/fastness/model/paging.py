"""Pages, limits and states: what queries check before they read."""

from __future__ import annotations

from fastness.encoding import continuations
from fastness.encoding.intervals import KeyInterval, successor
from fastness.errors import InvalidContinuation, InvalidOption, SchemaError
from fastness.limits import Limits
from fastness.model.stored import State, StoredIndex, StoredTotal


def require_limit(limit: int | None, limits: Limits) -> int:
    """The number of entries a page may hold."""
    if limit is None:
        return limits.page_entries
    if type(limit) is not int or not 1 <= limit <= limits.page_entries_max:
        raise InvalidOption(
            f"limit={limit!r} is not a number from 1 to {limits.page_entries_max} "
            "(page_entries_max): ask for a page within that and go on by its continuation"
        )
    return limit


def rest_of_scan(interval: KeyInterval, continuation: str | None, *, reverse: bool) -> KeyInterval:
    """What is left of an interval; `InvalidContinuation` for a token of another query."""
    if continuation is None:
        return interval
    if type(continuation) is not str or not continuation.isascii():
        raise InvalidContinuation(f"continuation {continuation!r:.80} is not one of a Listing")
    last = continuations.decode(continuation.encode("ascii"), interval, reverse)
    if reverse:
        return KeyInterval(interval.begin, last)
    return KeyInterval(successor(last), interval.end)


def next_token(interval: KeyInterval, last_key: bytes, *, reverse: bool) -> str:
    """The continuation of a page that ended at `last_key`."""
    return continuations.encode(interval, reverse, last_key).decode("ascii")


def require_readable(name: str, stored: StoredIndex | StoredTotal, at: int) -> None:
    """Refuse an index or total that a snapshot does not see complete."""
    if stored.state is not State.READABLE:
        raise SchemaError(
            f"{name} is still being built; wait for db.wait_until_readable({name}), or read "
            "by an index that is complete"
        )
    if at < stored.readable_since:
        raise SchemaError(
            f"{name} was built at timestamp {stored.readable_since}, after the snapshot {at} that "
            "is read here; read the past by an index that existed then"
        )
