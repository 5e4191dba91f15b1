"""Bad input: a typed error that shows the value and the next step, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from fastness.client import Database, Transaction
from fastness.encoding.counters import COUNTER_MAX
from fastness.errors import (
    FastnessError,
    InvalidContinuation,
    InvalidEncoding,
    InvalidInterval,
    InvalidKey,
    InvalidOption,
    InvalidTimestamp,
    InvalidValue,
    LimitExceeded,
    SnapshotTooOld,
    TransactionClosed,
    UsageError,
)
from fastness.limits import Limits
from fastness.runtime import ManualClock
from tests.transactions.databases import driven_database

LIMITS = replace(
    Limits(),
    key_bytes=32,
    value_bytes=64,
    transaction_bytes=1_000,
    transaction_keys=20,
    page_entries=3,
    page_entries_max=10,
    retention_ms=1_000,
)
Call = Callable[[Transaction], object]
CallWith = Callable[[Transaction, Any], object]
LONG_KEY = b"k" * 33
LONG_VALUE = b"v" * 65

CALLS_WITH_A_KEY: dict[str, CallWith] = {
    "get": lambda tx, key: tx.get(key),
    "get_many": lambda tx, key: tx.get_many([b"ok", key]),
    "set": lambda tx, key: tx.set(key, b""),
    "delete": lambda tx, key: tx.delete(key),
    "add": lambda tx, key: tx.add(key, 1),
    "min": lambda tx, key: tx.min(key, 1),
    "max": lambda tx, key: tx.max(key, 1),
    "append": lambda tx, key: tx.append(key, b""),
    "compare_and_clear": lambda tx, key: tx.compare_and_clear(key, b""),
    "set_versionstamped_key": lambda tx, key: tx.set_versionstamped_key(key, b""),
    "set_versionstamped_key suffix": lambda tx, key: tx.set_versionstamped_key(b"a", b"", key),
    "set_versionstamped_value": lambda tx, key: tx.set_versionstamped_value(key, b""),
    "add_read_conflict_key": lambda tx, key: tx.add_read_conflict_key(key),
    "add_write_conflict_key": lambda tx, key: tx.add_write_conflict_key(key),
}

CALLS_WITH_A_VALUE: dict[str, CallWith] = {
    "set": lambda tx, value: tx.set(b"k", value),
    "append": lambda tx, value: tx.append(b"k", value),
    "compare_and_clear": lambda tx, value: tx.compare_and_clear(b"k", value),
    "set_versionstamped_key": lambda tx, value: tx.set_versionstamped_key(b"k", value),
    "set_versionstamped_value": lambda tx, value: tx.set_versionstamped_value(b"k", value),
    "set_versionstamped_value suffix": lambda tx, value: tx.set_versionstamped_value(
        b"k", b"", value
    ),
}

CALLS_WITH_A_NUMBER: dict[str, CallWith] = {
    "add": lambda tx, amount: tx.add(b"k", amount),
    "expire": lambda tx, expires_at: tx.set(b"k", b"", expires_at=expires_at),
    "limit": lambda tx, limit: tx.scan(b"a", b"b", limit=limit),
}

CALLS_WITH_AN_INTERVAL: dict[str, Callable[[Transaction, Any, Any], object]] = {
    "scan": lambda tx, begin, end: tx.scan(begin, end),
    "scan in reverse": lambda tx, begin, end: tx.scan(begin, end, reverse=True),
    "scan_all": lambda tx, begin, end: list(tx.scan_all(begin, end)),
    "delete_range": lambda tx, begin, end: tx.delete_range(begin, end),
    "add_read_conflict_range": lambda tx, begin, end: tx.add_read_conflict_range(begin, end),
    "add_write_conflict_range": lambda tx, begin, end: tx.add_write_conflict_range(begin, end),
}


@pytest.fixture
def small(clock: ManualClock) -> Iterator[Database]:
    """A database in memory with limits that little data meets."""
    with driven_database("memory:", clock, limits=LIMITS) as database:
        yield database


def refusal(tx: Transaction, call: Call) -> FastnessError:
    """The error of a call that must be refused, by its class a mistake of the caller."""
    with pytest.raises(FastnessError) as refused:
        call(tx)
    error = refused.value
    assert not error.retryable
    assert not error.maybe_committed
    return error


@pytest.mark.parametrize("name", CALLS_WITH_A_KEY)
@pytest.mark.parametrize("writing", [False, True], ids=["fresh", "after a write"])
def test_a_key_is_bytes_of_a_bounded_size_in_the_user_space(
    small: Database, name: str, *, writing: bool
) -> None:
    """Every call that takes a key refuses a str, one too long and a system key, alike."""
    call = CALLS_WITH_A_KEY[name]
    tx = small.transaction()
    if writing:
        tx.set(b"before", b"")
    error = refusal(tx, partial(_swapped, call, "text"))
    assert type(error) is InvalidKey
    assert "'text' is str, not bytes" in str(error)
    error = refusal(tx, partial(_swapped, call, bytearray(b"k")))
    assert type(error) is InvalidKey
    error = refusal(tx, partial(_swapped, call, LONG_KEY))
    assert type(error) is LimitExceeded
    assert "key_bytes=32" in str(error)
    if "suffix" not in name and name != "add_read_conflict_key":
        error = refusal(tx, partial(_swapped, call, b"\xff\x01"))
        assert type(error) is InvalidKey
        assert "system space" in str(error)
    tx.commit()
    assert small.scan(b"", b"\xff").entries == ([(b"before", b"")] if writing else [])


def _swapped(call: CallWith, given: object, tx: Transaction) -> object:
    return call(tx, given)


@pytest.mark.parametrize("name", CALLS_WITH_A_VALUE)
def test_a_value_is_bytes_of_a_bounded_size(small: Database, name: str) -> None:
    """Every call that takes a value refuses a str, None and one too long."""
    call = CALLS_WITH_A_VALUE[name]
    tx = small.transaction()
    error = refusal(tx, partial(_swapped, call, "text"))
    assert type(error) is InvalidValue
    assert "'text' is str, not bytes" in str(error)
    error = refusal(tx, partial(_swapped, call, None))
    assert type(error) is InvalidValue
    error = refusal(tx, partial(_swapped, call, LONG_VALUE))
    assert type(error) is LimitExceeded
    assert "value_bytes=64" in str(error)
    tx.commit()
    assert small.scan(b"", b"\xff").entries == []


@pytest.mark.parametrize("name", CALLS_WITH_AN_INTERVAL)
def test_an_interval_has_its_begin_before_its_end(small: Database, name: str) -> None:
    """Edges are bytes in order, in the user space, of a bounded size."""
    call = CALLS_WITH_AN_INTERVAL[name]

    def at(begin: object, end: object) -> Call:
        return lambda tx: call(tx, begin, end)

    tx = small.transaction()
    error = refusal(tx, at(b"b", b"a"))
    assert type(error) is InvalidInterval
    assert "begin b'b' lies after end b'a'" in str(error)
    for edges in (("a", b"b"), (b"a", "b"), (None, None)):
        assert type(refusal(tx, at(*edges))) is InvalidKey
    error = refusal(tx, at(b"\xff", b"\xff\xff"))
    assert type(error) is InvalidKey
    assert "system space" in str(error)
    error = refusal(tx, at(b"a" * 40, b"b" * 40))
    assert type(error) is LimitExceeded
    assert "key_bytes=32" in str(error)
    assert call(tx, b"a", b"a") in (None, [], tx.scan(b"a", b"a"))


def test_a_scan_never_reaches_the_system_space(database: Database) -> None:
    """An end beyond the user space means its end, on every page, in both directions."""
    for key in (b"a", b"b", b"c"):
        database.set(key, b"1", expires_at=database.now() + (1 << 40))
    assert [key for key, _ in database.scan_all(b"", b"\xff\xff")] == [b"a", b"b", b"c"]
    for reverse in (False, True):
        seen, token = [], None
        while True:
            page = database.scan(b"", b"\xff\xff", limit=1, reverse=reverse, continuation=token)
            seen += [key for key, _ in page]
            token = page.continuation
            if token is None:
                break
        assert seen == sorted([b"a", b"b", b"c"], reverse=reverse)


def test_a_counter_is_a_64_bit_int(small: Database) -> None:
    """Anything else is refused at the call; a stored value that is none, when it is known."""
    tx = small.transaction()
    for mistake in (1.5, "1", None, True):
        error = refusal(tx, partial(_swapped, CALLS_WITH_A_NUMBER["add"], mistake))
        assert type(error) is InvalidValue
        assert repr(mistake) in str(error)
    error = refusal(tx, lambda tx: tx.max(b"k", COUNTER_MAX + 1))
    assert type(error) is LimitExceeded
    tx.set(b"k", b"text")
    error = refusal(tx, lambda tx: tx.add(b"k", 1))
    assert type(error) is InvalidEncoding
    assert "b'text' is not a counter of 8 bytes" in str(error)
    assert tx.get(b"k") == b"text"
    tx.commit()
    blind = small.transaction()
    blind.add(b"k", 1)
    blind.set(b"other", b"")
    error = refusal(blind, lambda tx: tx.commit())
    assert type(error) is InvalidEncoding
    assert small.get(b"other") is None


def test_an_expiry_is_a_timestamp(small: Database) -> None:
    """A number of seconds, a float or a datetime by mistake is refused with its value."""
    for mistake in (0, -1, 1.5, "soon", datetime.now(UTC), 1 << 63):
        tx = small.transaction()
        error = refusal(tx, partial(_swapped, CALLS_WITH_A_NUMBER["expire"], mistake))
        assert type(error) is InvalidTimestamp
        assert repr(mistake) in str(error)


def test_a_page_has_a_bounded_positive_size(small: Database) -> None:
    """Zero, negative, too many and no number at all."""
    for mistake in (0, -1, 11, "3", 2.0, True):
        error = refusal(
            small.transaction(), partial(_swapped, CALLS_WITH_A_NUMBER["limit"], mistake)
        )
        assert type(error) is InvalidOption
        assert f"limit={mistake!r} is not a number from 1 to 10" in str(error)


def test_a_continuation_serves_its_own_scan_only(small: Database) -> None:
    """One of another interval or direction, a damaged one, and what is none."""
    for number in range(5):
        small.set(b"k%d" % number, b"")
    token = small.scan(b"a", b"z").continuation
    assert token is not None
    for mistake, message in (
        (lambda tx: tx.scan(b"a", b"y", continuation=token), "another interval or direction"),
        (lambda tx: tx.scan(b"a", b"z", reverse=True, continuation=token), "another interval"),
        (lambda tx: tx.scan(b"a", b"z", continuation=token[:-1]), "damaged"),
        (lambda tx: tx.scan(b"a", b"z", continuation=b""), "version"),
        (lambda tx: tx.scan(b"a", b"z", continuation=token.decode()), "is not bytes"),
    ):
        error = refusal(small.transaction(), mistake)
        assert type(error) is InvalidContinuation
        assert message in str(error)
        assert "start without one" in str(error)


def test_a_transaction_is_bounded_in_bytes(small: Database) -> None:
    """The write that goes too far is refused, and the transaction can still commit the rest."""
    tx = small.transaction()
    for number in range(10):
        tx.set(b"key %d" % number, b"v" * 60)
    error = refusal(tx, lambda tx: tx.set(b"one more", b"v" * 64))
    assert type(error) is LimitExceeded
    assert "beyond transaction_bytes=1000: split the work" in str(error)
    tx.commit()
    assert len(list(small.scan_all(b"", b"\xff"))) == 10


def test_a_transaction_is_bounded_in_keys(small: Database) -> None:
    """Keys read and written, intervals read, and declared conflicts all count."""
    calls: dict[str, CallWith] = {
        "reads": lambda tx, n: tx.get(b"%d" % n),
        "scans": lambda tx, n: tx.add_read_conflict_range(b"%d" % n, b"%d!" % n),
        "writes": lambda tx, n: tx.delete(b"%d" % n),
        "conflicts": lambda tx, n: tx.add_write_conflict_key(b"%d" % n),
        "ranges": lambda tx, n: tx.add_write_conflict_range(b"%d" % n, b"%d!" % n),
    }

    def touch_too_many(call: CallWith, tx: Transaction) -> None:
        for number in range(20):
            call(tx, number)
        tx.commit()

    for name, call in calls.items():
        tx = small.transaction()
        tx.set(b"k", b"")
        error = refusal(tx, partial(touch_too_many, call))
        assert type(error) is LimitExceeded, name
        assert "beyond transaction_keys=20" in str(error)
    assert small.get(b"k") is None


def test_intervals_read_count_against_the_bytes(small: Database) -> None:
    """As `limits.transaction_bytes` says: keys of intervals read are part of the budget."""
    tx = small.transaction()
    tx.set(b"k", b"v" * 64)

    def read_much(tx: Transaction) -> None:
        for number in range(18):
            tx.scan(b"%030d" % number, b"%030d!" % number)
        tx.commit()

    error = refusal(tx, read_much)
    assert type(error) is LimitExceeded
    assert "transaction_bytes=1000" in str(error)


def test_a_range_too_large_to_delete_is_refused(small: Database) -> None:
    """It names how many keys may still go, which is never less than none."""
    for number in range(25):
        small.set(b"k%02d" % number, b"")
    tx = small.transaction()
    error = refusal(tx, lambda tx: tx.delete_range(b"k", b"l"))
    assert type(error) is LimitExceeded
    assert "holds more than the 20 keys" in str(error)
    for number in range(21):
        tx.set(b"%d" % number, b"")
    error = refusal(tx, lambda tx: tx.delete_range(b"k", b"l"))
    assert "holds more than the 0 keys" in str(error)


def test_the_past_ends_and_the_future_has_not_begun(small: Database, clock: ManualClock) -> None:
    """Reads below the retained window and above now are refused; the first may be retried."""
    small.set(b"k", b"1")
    early = small.now()
    clock.advance(milliseconds=1)
    small.set(b"k", b"2")
    small.delete(b"k")
    clock.advance(milliseconds=5_000)
    assert small.transaction(at=early).get(b"k") == b"1"
    small.now()
    while small.embedded.upkeep_step():
        pass
    reads: list[Call] = [lambda tx: tx.get(b"k"), lambda tx: tx.scan(b"a", b"z")]
    for read in reads:
        with pytest.raises(SnapshotTooOld, match="lies below the retained window") as refused:
            read(small.transaction(at=early))
        assert refused.value.retryable
        assert str(early) in str(refused.value)
    now = small.now()
    with pytest.raises(InvalidTimestamp, match=f"timestamp {now + 1} was never issued"):
        small.transaction(at=now + 1)
    tomorrow = datetime.fromtimestamp(clock.wall_ms() / 1_000, UTC) + timedelta(days=1)
    with pytest.raises(InvalidTimestamp, match="lies in the future"):
        small.transaction(at=tomorrow)
    for mistake, message in (
        (datetime(2023, 11, 14), "has no time zone"),  # noqa: DTZ001 - the mistake
        (datetime(1969, 12, 31, tzinfo=UTC), "lies outside"),
        (-1, "neither a timestamp nor a datetime"),
        (True, "neither a timestamp nor a datetime"),
        (1.5, "neither a timestamp nor a datetime"),
        ("now", "neither a timestamp nor a datetime"),
    ):
        with pytest.raises(InvalidTimestamp, match=message):
            small.transaction(at=mistake)  # type: ignore[arg-type]  # mistakes are the point


def _from_a(
    call: Callable[[Transaction, Any, Any], object], tx: Transaction, end: object
) -> object:
    return call(tx, b"a", end)


EVERY_METHOD: dict[str, Call] = {
    **{name: partial(_swapped, call, b"k") for name, call in CALLS_WITH_A_KEY.items()},
    **{
        name: partial(_swapped, partial(_from_a, call), b"b")
        for name, call in CALLS_WITH_AN_INTERVAL.items()
    },
    "get_many of nothing": lambda tx: tx.get_many([]),
    "scan of nothing": lambda tx: tx.scan(b"a", b"a"),
    "delete_range of nothing": lambda tx: tx.delete_range(b"a", b"a"),
    "on_commit": lambda tx: tx.on_commit(print),
    "commit": lambda tx: tx.commit(),
}


@pytest.mark.parametrize("name", EVERY_METHOD)
@pytest.mark.parametrize("ending", ["commit", "cancel", "conflict", "read"])
def test_a_used_up_transaction_refuses_everything(
    database: Database, name: str, ending: str
) -> None:
    """However it ended, and whatever is asked of it: begin a new one."""
    tx = database.transaction()
    if ending == "read":
        tx.get(b"k")
        tx.commit()
    else:
        tx.get(b"other")
        tx.set(b"k", b"")
        if ending == "cancel":
            tx.cancel()
        elif ending == "conflict":
            database.set(b"other", b"")
            with pytest.raises(FastnessError, match="overwritten"):
                tx.commit()
        else:
            tx.commit()
    error = refusal(tx, EVERY_METHOD[name])
    assert type(error) is TransactionClosed
    assert "begin a new one" in str(error)
    tx.cancel()


def test_a_read_only_transaction_refuses_writes(database: Database) -> None:
    """Also one that reads the past; the message says how to get one that writes."""
    for tx in (database.transaction(read_only=True), database.transaction(at=database.now())):
        for name, call in EVERY_METHOD.items():
            if name.startswith(("set", "delete_range", "add_write", "min", "max", "app", "comp")):
                if name == "delete_range of nothing":
                    continue
                error = refusal(tx, call)
                assert type(error) is UsageError, name
                assert "read-only: begin one without at= and read_only=" in str(error)


def test_what_is_known_only_after_the_commit_is_refused_before(database: Database) -> None:
    """Versionstamps, and the keys and values that hold them."""
    tx = database.transaction()
    error = refusal(tx, lambda tx: tx.versionstamp())
    assert type(error) is TransactionClosed
    tx.set_versionstamped_value(b"value", b"<", b">")
    tx.set_versionstamped_key(b"log/", b"")
    for call in (
        lambda tx: tx.get(b"value"),
        lambda tx: tx.append(b"value", b""),
        lambda tx: tx.scan(b"v", b"w"),
        lambda tx: tx.scan(b"log", b"log0"),
    ):
        error = refusal(tx, call)
        assert type(error) is InvalidKey
        assert "known only after the commit" in str(error)
    tx.commit()
    assert len(tx.versionstamp()) == 10
