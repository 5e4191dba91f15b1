"""Limits of keys, records and transactions, met from above and from below."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.errors import InvalidOption, LimitExceeded
from fastness.limits import Limits
from fastness.model import Entity, Index, each, field
from tests.model.world import Change, Item, World

SMALL = replace(Limits(), key_bytes=64, value_bytes=400)


class Named(Entity, key="name"):
    """Text in the key and in an index."""

    name: str
    note: str = ""
    words: list[str] = field(default_factory=list)
    by_note = Index("note")
    by_word = Index(each("words"))


@pytest.mark.parametrize(
    "record",
    [
        Named(name="x" * 62),
        Named(name="x" * 30, note="x" * 30),
        Named(name="x", note="\x00" * 29),
        Named(name="x", words=["ok", "x" * 60]),
    ],
    ids=["key", "index", "escaped", "element"],
)
def test_keys_beyond_the_limit_are_refused(record: Named) -> None:
    """Of the record and of each entry; nothing is written."""
    with World(Named, limits=SMALL) as world:
        with pytest.raises(LimitExceeded, match=r"a key of Named has \d+ bytes, beyond key_bytes"):
            world.run(lambda tx: tx.insert(record))
        assert world.begin().every(Named).items == []


def test_records_beyond_the_limit_are_refused() -> None:
    """The record is named and its size told."""
    with World(Item, limits=SMALL) as world:
        tags = ["abcdefgh"] * 50
        with pytest.raises(LimitExceeded, match=r"Item \('s', 1\) has \d+ bytes, beyond value_"):
            world.run(lambda tx: tx.insert(Item(shop="s", id=1, tags=tags)))


@given(
    st.text(alphabet="a\x00ü", max_size=40),
    st.text(alphabet="a\x00", max_size=40),
    st.integers(40, 200),
)
def test_no_key_beyond_the_limit_is_ever_written(name: str, note: str, limit: int) -> None:
    """The short cut for small records lets none through."""
    limits = replace(Limits(), key_bytes=limit)
    with World(Named, limits=limits) as world:
        try:
            world.run(lambda tx: tx.insert(Named(name=name, note=note, words=[note])))
        except LimitExceeded:
            return
        keys, _more = world.begin().unchecked_scan(b"\xff\x01", b"\xff\x02", 10, reverse=False)
        assert len(keys) == 3
        assert all(len(key) <= limit for key, _value in keys)


def test_a_transaction_appends_a_bounded_number_to_logs() -> None:
    """Two bytes order the records of one transaction; the next one is refused."""
    with World(Change) as world:
        tx = world.begin()
        tx._stamps = (1 << 16) - 1  # noqa: SLF001 - not to insert them all
        tx.insert(Change(shop="s", what="last"))
        with pytest.raises(InvalidOption, match="appends at most 65536 records"):
            tx.insert(Change(shop="s", what="one more"))
