"""What mypy and editors infer: checked by mypy when it reads this file, and true when it runs.

`assert_type` fails mypy where the inferred type is another. The calls in `refused` must be
errors: mypy reports any `type: ignore` there that it did not need.
"""

from __future__ import annotations

from typing import Any, assert_type

from fastness.model import (
    AsyncTypedOperations,
    Explanation,
    IndexOf,
    Listing,
    ReferenceOf,
    TotalOf,
    TypedOperations,
)
from tests.model.world import NOON, ONE, Item, Member, Team, User, World


def synchronous(tx: TypedOperations) -> None:
    """Every operation, on classes, indexes, totals and references."""
    assert_type(User.by_email, IndexOf[User])
    assert_type(User.by_key, IndexOf[User])
    assert_type(Member.by_target, IndexOf[Member])
    assert_type(Member.source_count, TotalOf[Member])
    assert_type(Item.worth, TotalOf[Item])
    assert_type(Member.target, ReferenceOf[Member, Team])
    assert_type(Item.above, ReferenceOf[Item, Item])
    user = User(id="ann", email="a@x", joined=NOON)
    assert_type(tx.put(user), User)
    assert_type(tx.put(user, if_version=None), User)
    assert_type(tx.patch(User, "ann", name="x"), User)
    assert_type(tx.fetch(User, "ann"), User | None)
    assert_type(tx.require(User, "ann"), User)
    assert_type(tx.fetch_many(Item, [("s", 1)]), list[Item | None])
    assert_type(tx.fetch_by(User.by_email, "a@x"), User | None)
    assert_type(tx.query(Item.by_price, "s", at_least=5, limit=10), Listing[Item])
    assert_type([item.title for item in tx.query(Item.by_price, "s")], list[str])
    assert_type([member.user for member in tx.query_all(Member.by_target, ONE)], list[str])
    assert_type(tx.every(User).items, list[User])
    assert_type(tx.count(Member.by_target, ONE), int)
    assert_type(tx.total(Item.worth, "s"), int)
    assert_type(tx.explain(Item.by_price, "s"), Explanation)
    member = tx.put(Member(user="ann", team=ONE))
    assert_type(tx.follow(Member.target, member), Team | None)
    assert_type(tx.follow_many(Member.source, [member]), list[User | None])
    assert_type(tx.remove(User, "ann"), User | None)
    assert_type(tx.key_of(User, "ann"), bytes)


async def asynchronous(tx: AsyncTypedOperations) -> None:
    """The same names, awaited."""
    assert_type(await tx.fetch(User, "ann"), User | None)
    assert_type(await tx.query(Item.by_price, "s"), Listing[Item])
    assert_type([item.title async for item in tx.query_all(Item.by_price, "s")], list[str])
    member = await tx.put(Member(user="ann", team=ONE))
    assert_type(await tx.follow(Member.target, member), Team | None)


def refused(tx: Any, item: Item) -> None:  # noqa: ANN401 - never called
    """Each of these is an error to mypy."""
    typed: TypedOperations = tx
    User("ann")  # type: ignore[call-arg]  # fields are keyword-only
    User(id="ann", email="a@x", nmae="Ann")  # type: ignore[call-arg]  # no such field
    User(id=5, email="a@x")  # type: ignore[arg-type]  # another type
    typed.insert("text")  # type: ignore[type-var]  # no record
    typed.fetch(str, "ann")  # type: ignore[type-var]  # no record class
    typed.query("Item.by_price")  # type: ignore[arg-type]  # no index
    typed.follow(Member.target, item)  # type: ignore[misc]  # a record of another class
    typed.total(Item.by_price)  # type: ignore[arg-type]  # no total
    typed.query(User.by_emial)  # type: ignore[attr-defined]  # no such index


def test_what_is_inferred_is_true(world: World) -> None:
    """The statements that mypy checks also run."""
    with world.begin() as tx:
        tx.insert(Team(id=ONE, title="t"))
        synchronous(tx)
