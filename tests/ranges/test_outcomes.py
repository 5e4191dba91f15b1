"""What a range remembers of transactions, and in which order it forgets."""

from __future__ import annotations

import tracemalloc

import pytest

from fastness.ranges.identity import transaction_id
from fastness.ranges.outcomes import OutcomeTable
from fastness.ranges.shape import Outcome, encode_record


def born(birth: int) -> bytes:
    """The id of a transaction born then."""
    return transaction_id(birth=birth, nonce=1, anchor=b"a")


def remember(table: OutcomeTable, name: bytes, outcomes: list[Outcome]) -> None:
    """A row as a batch writes it."""
    table.add(name, outcomes, encode_record(outcomes))


def test_the_oldest_rows_are_forgotten_first_whatever_order_they_came_in() -> None:
    """Only rows all of whose transactions are old enough; a made-up birth holds up no other."""
    table = OutcomeTable({})
    remember(table, b"far", [(born(1 << 60), 5)])
    remember(table, b"mixed", [(born(10), 6), (born(30), 7)])
    remember(table, b"late", [(born(20), 8)])
    remember(table, b"early", [(born(10), 9)])
    assert table.forgettable(9, 10) == []
    assert table.forgettable(20, 10) == [b"early", b"late"]
    assert table.forgettable(40, 2) == [b"early", b"late"]
    assert table.forgettable(40, 10) == [b"early", b"late", b"mixed"]


def test_a_row_stays_until_it_is_gone_durably() -> None:
    """Whoever asks before is given the same rows again; afterwards they are not named any more."""
    table = OutcomeTable({})
    remember(table, b"early", [(born(10), 1)])
    remember(table, b"late", [(born(20), 2)])
    names = table.forgettable(30, 1)
    assert names == table.forgettable(30, 1) == [b"early"]
    table.forget(names, 15)
    assert table.forgotten(born(10))
    assert table.get(born(20)) == 2
    assert table.forgettable(30, 10) == [b"late"]


def test_a_row_that_was_written_again_counts_once() -> None:
    """Its newest transactions decide."""
    table = OutcomeTable({})
    remember(table, b"row", [(born(10), 1)])
    remember(table, b"row", [(born(20), 2)])
    assert table.forgettable(15, 10) == []
    assert table.forgettable(20, 10) == [b"row"]


def test_an_outcome_in_two_rows_is_known_until_both_are_forgotten() -> None:
    """Halves of a split that merge again hold some outcomes twice."""
    table = OutcomeTable({})
    remember(table, b"one", [(born(10), 5)])
    remember(table, b"other", [(born(10), 5), (born(20), 6)])
    table.forget([b"one"], 0)
    assert table.get(born(10)) == 5
    table.forget([b"other"], 0)
    assert table.get(born(10)) is None
    assert len(table) == 0


def test_ids_are_told_apart_by_their_anchors() -> None:
    """An id is not taken for another one whose birth and nonce are the same."""
    table = OutcomeTable({})
    remember(table, b"row", [(born(10), 5)])
    assert table.get(born(10) + b"more") is None


@pytest.mark.parametrize("anchor_bytes", [16, 60])
def test_an_outcome_takes_little_memory(anchor_bytes: int) -> None:
    """A window of them is kept: what `docs/SERVER.md` says of each holds."""
    outcomes, rows = 20_000, 200
    anchor = b"a" * anchor_bytes
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    table = OutcomeTable({})
    for row in range(rows):
        numbers = range(row * outcomes // rows, (row + 1) * outcomes // rows)
        ids = [transaction_id(birth=1 << 59, nonce=n << 40, anchor=anchor) for n in numbers]
        remember(table, b"%d" % row, [(identity, 1 << 59) for identity in ids])
        del ids
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(table) == outcomes
    assert used / outcomes < 170 + anchor_bytes
