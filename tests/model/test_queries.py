"""Queries against a dumb model: filter and sort all records, then compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.intervals import KeyInterval
from fastness.errors import InvalidContinuation, InvalidKey, InvalidOption
from fastness.limits import Limits
from fastness.model import Entity, Index, IndexOf, Listing, desc, each, field
from tests.model.world import Item, Level, Role, World


class Wide(Entity, key=("group", "id")):
    """A field of every type that an index can hold, each indexed in both directions."""

    group: int
    id: int
    text: str | None = None
    raw: bytes = b""
    number: int | None = None
    real: float = 0.0
    flag: bool = False
    code: UUID = UUID(int=0)
    moment: datetime | None = None
    day: date = date(2024, 1, 1)
    role: Role | None = None
    level: Level = Level.LOW
    words: set[str] = field(default_factory=set)
    text_up = Index("group", "text", clustered=True)
    text_down = Index("group", desc("text"))
    raw_up = Index("group", "raw")
    raw_down = Index("group", desc("raw"))
    number_up = Index("group", "number")
    number_down = Index("group", desc("number"), clustered=True)
    real_up = Index("group", "real")
    real_down = Index("group", desc("real"))
    flag_up = Index("group", "flag")
    code_up = Index("group", "code")
    moment_up = Index("group", "moment")
    moment_down = Index("group", desc("moment"))
    day_up = Index("group", "day")
    day_down = Index("group", desc("day"))
    role_up = Index("group", "role")
    level_down = Index("group", desc("level"))
    word_up = Index("group", each("words"))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXT = st.text(alphabet="ab\x00\x01ÿ𝄞", max_size=3)
RAW = st.binary(max_size=3) | st.sampled_from([b"a\x00", b"a\x00\xff", b"\xff", b"\x00"])
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.integers(-2, 2) | st.sampled_from([255, 256, -256])
REALS = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.5])
MOMENTS = st.integers(-(10**15), 10**15).map(lambda n: EPOCH + timedelta(microseconds=n))
DAYS = st.dates()
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "raw": RAW,
    "number": NUMBERS,
    "real": REALS,
    "flag": st.booleans(),
    "code": st.uuids(),
    "moment": MOMENTS,
    "day": DAYS,
    "role": st.sampled_from(Role),
    "level": st.sampled_from(Level),
}


def wide() -> st.SearchStrategy[list[Wide]]:
    """A few records of two groups."""
    one = st.builds(
        Wide,
        group=st.integers(1, 2),
        id=st.integers(0, 30),
        text=st.none() | TEXT,
        raw=RAW,
        number=st.none() | NUMBERS,
        real=REALS,
        flag=st.booleans(),
        code=st.uuids(),
        moment=st.none() | MOMENTS,
        day=DAYS,
        role=st.none() | st.sampled_from(Role),
        level=st.sampled_from(Level),
        words=st.sets(TEXT, max_size=3),
    )
    return st.lists(one, max_size=12, unique_by=lambda record: (record.group, record.id))


@dataclass(frozen=True)
class Asked:
    """A query on one index of `Wide`, of group 1."""

    field: str
    index: IndexOf[Wide]
    bounds: dict[str, Any]
    reverse: bool
    limit: int


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Any of the indexes, with any bounds."""
    index = draw(st.sampled_from([p for p in vars(Wide).values() if isinstance(p, Index)]))
    name = index.columns[1].field
    bounds: dict[str, Any] = {}
    if name in VALUES:
        kinds = ["at_least", "above", "at_most", "below"]
        for bound in draw(st.lists(st.sampled_from(kinds), max_size=2, unique=True)):
            bounds[bound] = draw(VALUES[name])
        if name in ("text", "raw") and draw(st.booleans()):
            bounds["starting_with"] = draw(VALUES[name])
    return Asked(name, index, bounds, draw(st.booleans()), draw(st.integers(1, 5)))


def plain(value: object) -> Any:  # noqa: ANN401 - something to compare with
    """A value that compares as its column sorts."""
    if isinstance(value, Role | Level):
        return value.value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, float):
        # -0.0 sorts before 0.0, as IEEE's total order has it.
        return (value, 0 if str(value).startswith("-") else 1)
    return value


TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": lambda value, bound: bool(value >= bound),
    "above": lambda value, bound: bool(value > bound),
    "at_most": lambda value, bound: bool(value <= bound),
    "below": lambda value, bound: bool(value < bound),
    "starting_with": lambda value, bound: bool(value.startswith(bound)),
}


def expected(records: list[Wide], query: Asked) -> list[Wide]:
    """What the query should list."""
    found: list[tuple[Any, int, Wide]] = []
    for record in records:
        if record.group != 1:
            continue
        value = getattr(record, query.field)
        for one in value if isinstance(value, set) else [value]:
            if one is None and query.bounds:
                continue
            held = plain(one)
            if all(TESTS[name](held, plain(bound)) for name, bound in query.bounds.items()):
                found.append(((one is not None, held), record.id, record))
    nothing = [entry for entry in found if not entry[0][0]]
    something = sorted((e for e in found if e[0][0]), key=lambda entry: entry[1])
    something.sort(key=lambda entry: entry[0], reverse=query.index.columns[1].descending)
    nothing.sort(key=lambda entry: entry[1])
    if query.index.columns[1].descending:
        ordered = [*something, *nothing]
    else:
        ordered = [*nothing, *something]
    return [record for _value, _id, record in (reversed(ordered) if query.reverse else ordered)]


def paged(world: World, query: Asked) -> Iterator[Wide]:
    """The query, page after page, each in a transaction of its own."""
    continuation = None
    while True:
        page: Listing[Wide] = world.begin().query(
            query.index,
            1,
            **query.bounds,
            reverse=query.reverse,
            limit=query.limit,
            continuation=continuation,
        )
        assert len(page) <= query.limit
        yield from page
        continuation = page.continuation
        if continuation is None:
            return


@given(wide(), st.lists(asked(), min_size=5, max_size=15))
def test_queries_list_what_filtering_and_sorting_would(
    records: list[Wide], queries: list[Asked]
) -> None:
    """Any index, bounds, direction and page size; `count` and `query_all` agree."""
    with World(Wide) as world:
        with world.begin() as tx:
            for record in records:
                tx.insert(record)
            for query in queries:
                found = tx.query(query.index, 1, **query.bounds, reverse=query.reverse)
                assert found.items == expected(records, query), query
        for query in queries:
            wanted = expected(records, query)
            assert list(paged(world, query)) == wanted, query
            tx = world.begin()
            assert tx.count(query.index, 1, **query.bounds) == len(wanted)
            every = tx.query_all(query.index, 1, **query.bounds, reverse=query.reverse)
            assert list(every) == wanted
        assert world.wrong() == []


def filled(world: World, count: int = 7) -> None:
    """Items of two shops."""
    with world.begin() as tx:
        for number in range(count):
            tx.insert(Item(shop="s", id=number, title=f"t{number}", price=number * 10))
        tx.insert(Item(shop="t", id=1))


def test_a_prefix_may_go_on_into_the_key(world: World) -> None:
    """Where entries hold the key behind the index's columns, it can be asked for and bounded."""
    filled(world)
    tx = world.begin()
    low = Level.LOW
    assert tx.count(Item.by_level, low) == 8
    made = tx.require(Item, "s", 1).made
    assert [one.id for one in tx.query(Item.by_level, low, made, "s", at_least=5)] == [5, 6]
    assert [one.shop for one in tx.query(Item.by_level, low, made, above="s")] == ["t"]


def test_every_record_is_listed_through_all_partitions(world: World) -> None:
    """`every` pages through partitions, also where other kinds lie between."""
    with world.begin() as tx:
        for number in range(20):
            tx.insert(Item(shop=f"s{number % 5}", id=number, title=f"{number}"))
    for limit in (1, 2, 3, 7, 100):
        found: list[int] = []
        continuation = None
        while True:
            page = world.begin().every(Item, limit=limit, continuation=continuation)
            assert len(page) <= limit
            found += [one.id for one in page]
            continuation = page.continuation
            if continuation is None:
                break
        assert found == sorted(range(20), key=lambda number: (number % 5, number))


def test_counts_come_from_counters_where_there_are_some(world: World) -> None:
    """`explain` names the counter `count` uses; a partial index uses only its own."""
    filled(world)
    tx = world.begin(read_only=True)
    assert tx.explain(Item.by_key, "s").counter == "Item.items"
    assert tx.explain(Item.by_price, "s").counter == "Item.items"
    assert tx.explain(Item.by_title, "s").counter is None
    assert tx.explain(Item.by_tag, "s").counter is None
    assert tx.explain(Item.by_key, "s", above=3).counter is None
    assert tx.explain(Item.by_level).counter == "Item.everything"
    assert tx.count(Item.by_key, "s") == tx.count(Item.by_title, "s") == 7
    assert tx.count(Item.by_level) == 8


def test_explain_tells_what_a_query_reads(world: World) -> None:
    """Index, fixed columns, entries and lookups; and it leaves no conflict behind."""
    filled(world)
    tx = world.begin()
    clustered = tx.explain(Item.by_title, "s", starting_with="t", limit=3)
    assert (clustered.index, clustered.given, clustered.bounded) == ("Item.by_title", 1, True)
    assert (clustered.entries, clustered.lookups, clustered.complete) == (3, 0, False)
    plainly = tx.explain(Item.by_price, "s")
    assert (plainly.entries, plainly.lookups, plainly.complete) == (7, 7, True)
    assert plainly.bytes > clustered.bytes
    assert "Item.by_price (shop, price, title, id) in its order: fixed shop" in str(plainly)
    assert "clustered, no lookups; more follows" in str(clustered)
    world.run(lambda other: other.remove(Item, "s", 1))
    tx.insert(Item(shop="u", id=1))
    tx.commit()


@pytest.mark.parametrize(
    ("call", "error", "refusal"),
    [
        ({}, InvalidOption, "Item.by_price lies inside partitions: give shop too"),
        ({"prefix": ("s", 1, "x", 2, 3)}, InvalidOption, "has 4 columns"),
        ({"prefix": ("s", 1, "x", 2), "above": 1}, InvalidOption, "there is none left"),
        ({"prefix": ("s", "x")}, InvalidKey, "Item.by_price, price: 'x' of type str is not int"),
        ({"prefix": ("s",), "above": "x"}, InvalidKey, "Item.by_price, price: 'x'"),
        ({"prefix": ("s",), "starting_with": "x"}, InvalidOption, "price is int; starting_with"),
        ({"prefix": ("s",), "limit": 0}, InvalidOption, "limit=0 is not a number from 1"),
        ({"prefix": ("s",), "limit": 10**9}, InvalidOption, "limit=1000000000"),
        ({"prefix": ("s",), "continuation": "x"}, InvalidContinuation, "'x'"),
        ({"prefix": ("s",), "continuation": b"x"}, InvalidContinuation, "one of a Listing"),
        ({"prefix": ("s",), "continuation": "ü"}, InvalidContinuation, "one of a Listing"),
    ],
)
def test_queries_that_make_no_sense_are_refused(
    world: World, call: dict[str, Any], error: type[Exception], refusal: str
) -> None:
    """The refusal names the index and what it would take."""
    bounds = {name: value for name, value in call.items() if name != "prefix"}
    with pytest.raises(error, match=refusal):
        world.begin().query(Item.by_price, *call.get("prefix", ()), **bounds)


def test_a_continuation_belongs_to_its_query(world: World) -> None:
    """The token of another prefix, index or direction is refused, not misread."""
    filled(world)
    token = world.begin().query(Item.by_price, "s", limit=2).continuation
    assert token is not None
    tx = world.begin()
    calls: list[Callable[[], object]] = [
        lambda: tx.query(Item.by_price, "t", continuation=token),
        lambda: tx.query(Item.by_title, "s", continuation=token),
        lambda: tx.query(Item.by_price, "s", above=3, continuation=token),
        lambda: tx.query(Item.by_price, "s", reverse=True, continuation=token),
    ]
    for call in calls:
        with pytest.raises(InvalidContinuation, match="another interval or direction"):
            call()


def test_contradicting_bounds_list_nothing(world: World) -> None:
    """Bounds that admit nothing are an empty interval, not one turned round."""
    filled(world)
    explanation = world.begin().explain(Item.by_price, "s", above=50, below=20)
    assert explanation.entries == 0
    interval: KeyInterval = explanation.interval
    assert interval.begin == interval.end


def test_a_count_reads_page_after_page() -> None:
    """Without a counter, entries beyond one page are counted too."""
    with World(Item, limits=Limits(page_entries=2, page_entries_max=3)) as world:
        filled(world, 9)
        assert world.begin().count(Item.by_title, "s") == 9
        assert len(list(world.begin().query_all(Item.by_title, "s"))) == 9
