"""Versionstamped keys among other writes of one transaction: the order of calls counts."""

from __future__ import annotations

from fastness.client import Database


def test_a_stamped_key_erased_later_is_not_written(database: Database) -> None:
    """Deleting a range after writing into it removes what was written, stamped or not."""
    with database.transaction() as tx:
        tx.set(b"log/plain", b"1")
        tx.set_versionstamped_key(b"log/", b"1")
        tx.delete_range(b"log/", b"log0")
        tx.set_versionstamped_key(b"log/", b"2", b"/after")
    ((key, value),) = database.scan(b"log/", b"log0").entries
    assert key == b"log/" + tx.versionstamp() + b"/after"
    assert value == b"2"


def test_only_what_the_range_reaches_is_erased(database: Database) -> None:
    """A range that ends below where the stamp falls leaves the key alone."""
    with database.transaction() as tx:
        tx.set_versionstamped_key(b"log/", b"1")
        tx.delete_range(b"log/", b"log/\x00")
    assert len(database.scan(b"log/", b"log0")) == 1
    with database.transaction() as later:
        later.set_versionstamped_key(b"log/", b"2")
        later.delete_range(b"log/" + tx.versionstamp(), b"log/\x80")
    assert len(database.scan(b"log/", b"log0")) == 0
