"""What a range remembers of transactions, and in which order it forgets."""

from __future__ import annotations

from fastness.ranges.identity import transaction_id
from fastness.ranges.outcomes import OutcomeTable


def born(birth: int) -> bytes:
    """The id of a transaction born then."""
    return transaction_id(birth=birth, nonce=1, anchor=b"a")


def test_the_oldest_rows_are_forgotten_first_whatever_order_they_came_in() -> None:
    """Only rows all of whose transactions are old enough; a made-up birth holds up no other."""
    table = OutcomeTable({})
    table.add(b"far", [(born(1 << 60), 5)])
    table.add(b"mixed", [(born(10), 6), (born(30), 7)])
    table.add(b"late", [(born(20), 8)])
    table.add(b"early", [(born(10), 9)])
    assert table.forgettable(9, 10) == []
    assert table.forgettable(20, 10) == [b"early", b"late"]
    assert table.forgettable(40, 2) == [b"early", b"late"]
    assert table.forgettable(40, 10) == [b"early", b"late", b"mixed"]


def test_a_row_stays_until_it_is_gone_durably() -> None:
    """Whoever asks before is given the same rows again; afterwards they are not named any more."""
    table = OutcomeTable({})
    table.add(b"early", [(born(10), 1)])
    table.add(b"late", [(born(20), 2)])
    names = table.forgettable(30, 1)
    assert names == table.forgettable(30, 1) == [b"early"]
    table.forget(names, 15)
    assert table.forgotten(born(10))
    assert table.get(born(20)) == 2
    assert table.forgettable(30, 10) == [b"late"]


def test_a_row_that_was_written_again_counts_once() -> None:
    """Its newest transactions decide."""
    table = OutcomeTable({})
    table.add(b"row", [(born(10), 1)])
    table.add(b"row", [(born(20), 2)])
    assert table.forgettable(15, 10) == []
    assert table.forgettable(20, 10) == [b"row"]
