"""Random operations on records against a dumb model: dictionaries, filtered and sorted.

The machine holds one open transaction at a time and ends it by commit or cancellation, so
read-your-writes, rollback and everything in between are compared. After every commit the
whole database is checked: entries and totals equal what the records imply.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from fastness.encoding.timestamps import Timestamp, from_datetime
from fastness.errors import Conflict, RecordError, RecordExists, RecordNotFound, UniqueViolation
from fastness.model import Record, TypedOperations
from tests.model.world import ALL, Item, Level, Member, Role, Session, User, World

SHOPS = st.sampled_from(["s", "t"])
IDS = st.integers(1, 4)
NAMES = st.sampled_from(["ann", "bob", "cid"])
TITLES = st.sampled_from(["a", "b", "c"])
TEAMS = st.sampled_from([UUID(int=1), UUID(int=2)])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "title": TITLES,
        "price": st.none() | st.integers(-5, 50),
        "level": st.sampled_from(Level),
        "tags": st.lists(st.sampled_from(["x", "y"]), max_size=2),
        "sold": st.booleans(),
    },
)
ITEMS = st.builds(
    lambda shop, id_, changes: Item(**{"shop": shop, "id": id_, **changes}), SHOPS, IDS, CHANGES
)

Table = dict[tuple[Any, ...], Any]


class Model:
    """What should be stored: records by class and key."""

    def __init__(self) -> None:
        self.tables: dict[type[Record], Table] = {User: {}, Item: {}, Member: {}, Session: {}}

    def copy(self) -> Model:
        """As it is now."""
        made = Model()
        made.tables = {kind: dict(table) for kind, table in self.tables.items()}
        return made

    def clash(self, item: Item) -> bool:
        """Whether another unsold item of the shop has the title."""
        return not item.sold and any(
            other.title == item.title and other.shop == item.shop and not other.sold
            for other in self.tables[Item].values()
            if (other.shop, other.id) != (item.shop, item.id)
        )


def alive(session: Session, at: Timestamp) -> bool:
    """Whether a snapshot sees a session."""
    return session.ends is None or from_datetime(session.ends) > at


def without_version(record: Any) -> Any:  # noqa: ANN401 - a record of any class
    """A user as the model knows it."""
    return replace(record, version=0) if isinstance(record, User) else record


class Records(RuleBasedStateMachine):
    """Operations in transactions, compared with the model."""

    kind: ClassVar[type[World]] = World

    def __init__(self) -> None:
        super().__init__()
        self.world = self.kind(*ALL)
        self.committed = Model()
        self.model = Model()
        self.tx: TypedOperations = self.world.begin()
        self.wrote = False
        self.fresh: set[bytes] = set()
        """Sessions written in this transaction: it sees its own writes, even expired ones."""

    def teardown(self) -> None:
        """Close the database."""
        self.tx.cancel()
        self.world.close()

    @rule(item=ITEMS)
    def insert(self, item: Item) -> None:
        """A new item, or the refusal the model predicts."""
        key = (item.shop, item.id)
        wanted: type[RecordError] | None = None
        if key in self.model.tables[Item]:
            wanted = RecordExists
        elif self.model.clash(item):
            wanted = UniqueViolation
        self.attempt(wanted, lambda: self.tx.insert(item))
        if wanted is None:
            self.model.tables[Item][key] = item

    @rule(item=ITEMS)
    def put(self, item: Item) -> None:
        """An item, new or replaced."""
        wanted = UniqueViolation if self.model.clash(item) else None
        self.attempt(wanted, lambda: self.tx.put(item))
        if wanted is None:
            self.model.tables[Item][item.shop, item.id] = item

    @rule(shop=SHOPS, id_=IDS, changes=CHANGES)
    def patch(self, shop: str, id_: int, changes: dict[str, Any]) -> None:
        """Some fields of an item."""
        before = self.model.tables[Item].get((shop, id_))
        if before is None:
            self.attempt(RecordNotFound, lambda: self.tx.patch(Item, shop, id_, **changes))
            return
        after = replace(before, **changes)
        wanted = UniqueViolation if self.model.clash(after) else None
        self.attempt(wanted, lambda: self.tx.patch(Item, shop, id_, **changes))
        if wanted is None:
            self.model.tables[Item][shop, id_] = after

    @rule(shop=SHOPS, id_=IDS)
    def remove(self, shop: str, id_: int) -> None:
        """An item, there or not."""
        assert self.tx.remove(Item, shop, id_) == self.model.tables[Item].pop((shop, id_), None)
        self.wrote = True

    @rule(user=NAMES, team=TEAMS, role=st.sampled_from(Role))
    def join(self, user: str, team: UUID, role: Role) -> None:
        """An association."""
        member = Member(user=user, team=team, role=role)
        assert self.tx.put(member) == member
        self.model.tables[Member][user, team] = member
        self.wrote = True

    @rule(user=NAMES, team=TEAMS)
    def leave(self, user: str, team: UUID) -> None:
        """An association that ends."""
        assert self.tx.remove(Member, user, team) == self.model.tables[Member].pop(
            (user, team), None
        )

    @rule(user=NAMES, token=st.sampled_from([b"1", b"2"]), minutes=st.none() | st.integers(-1, 3))
    def log_in(self, user: str, token: bytes, minutes: int | None) -> None:
        """A session that ends in some minutes, has ended, or never ends."""
        ends = None if minutes is None else self.world.now() + timedelta(minutes=minutes)
        session = Session(token=token, user=user, ends=ends)
        assert self.tx.put(session) == session
        self.model.tables[Session][token,] = session
        self.fresh.add(token)
        self.wrote = True

    @rule(minutes=st.integers(1, 2))
    def pass_time(self, minutes: int) -> None:
        """Later: what this transaction sees stays; what it saw alive may be gone at its commit."""
        self.world.pass_time(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        """What had expired before this transaction began is removed from the store."""
        while self.world.engine.prune_to(self.tx.read_timestamp):
            pass

    @rule(user=NAMES, email=TITLES)
    def register(self, user: str, email: str) -> None:
        """A user with a version and a unique index."""
        taken = any(
            other.email == email and other.id != user for other in self.model.tables[User].values()
        )
        record = User(id=user, email=email)
        self.attempt(UniqueViolation if taken else None, lambda: self.tx.put(record))
        if not taken:
            self.model.tables[User][user,] = record

    def attempt(self, wanted: type[RecordError] | None, call: Any) -> None:  # noqa: ANN401 - a lambda
        """Run a write that is refused exactly with `wanted`."""
        if wanted is None:
            call()
        else:
            with pytest.raises(wanted):
                call()
        self.wrote = True

    @rule()
    def commit(self) -> None:
        """What was written is there for the next transaction, and consistent.

        Only sessions can make the one writer conflict: they ended, or were swept away.
        """
        try:
            self.tx.commit()
        except Conflict:
            assert self.model.tables[Session] or self.committed.tables[Session]
            self.model = self.committed
        self.committed = self.model.copy()
        self.begin()
        assert self.world.wrong() == []

    @precondition(lambda self: self.wrote)
    @rule()
    def cancel(self) -> None:
        """What was written is gone."""
        self.tx.cancel()
        self.model = self.committed.copy()
        self.begin()

    def begin(self) -> None:
        """The next transaction."""
        self.tx = self.world.begin()
        self.wrote = False
        self.fresh.clear()

    @invariant()
    def listings_agree(self) -> None:
        """Every way to read shows what the model holds."""
        at = self.tx.read_timestamp
        items: list[Item] = [
            self.model.tables[Item][key] for key in sorted(self.model.tables[Item])
        ]
        for shop in ("s", "t"):
            mine = [item for item in items if item.shop == shop]
            assert self.tx.query(Item.by_key, shop).items == mine
            unsold = sorted((i for i in mine if not i.sold), key=lambda item: item.title)
            assert self.tx.query(Item.by_title, shop).items == unsold
            tagged = [item for item in mine if "x" in item.tags]
            assert self.tx.query(Item.by_tag, shop, "x").items == tagged
            assert self.tx.total(Item.worth, shop) == sum(item.price or 0 for item in mine)
            assert self.tx.count(Item.by_key, shop) == len(mine)
            for level in Level:
                number = sum(item.level == level and not item.sold for item in mine)
                assert self.tx.total(Item.unsold, shop, level) == number
        priced = sorted((i for i in items if i.price is not None), key=lambda item: item.price or 0)
        assert self.tx.query(Item.priced).items == priced
        members: Table = self.model.tables[Member]
        for name in ("ann", "bob", "cid"):
            mine_too = [members[key] for key in sorted(members) if key[0] == name]
            assert self.tx.query(Member.by_source, name).items == mine_too
            assert self.tx.total(Member.source_count, name) == len(mine_too)
        for team in (UUID(int=1), UUID(int=2)):
            theirs = [members[key] for key in sorted(members) if key[1] == team]
            assert self.tx.query(Member.by_target, team).items == theirs
            assert self.tx.total(Member.target_count, team) == len(theirs)
        sessions = [
            one
            for one in self.model.tables[Session].values()
            if alive(one, at) or one.token in self.fresh
        ]
        for name in ("ann", "bob", "cid"):
            his = sorted((one for one in sessions if one.user == name), key=lambda s: s.token)
            assert self.tx.query(Session.by_user, name).items == his
            assert self.tx.count(Session.by_user, name) == len(his)
        for token in (b"1", b"2"):
            assert self.tx.fetch(Session, token) == next(
                (one for one in sessions if one.token == token), None
            )
        users = [self.model.tables[User][key] for key in sorted(self.model.tables[User])]
        assert [without_version(user) for user in self.tx.every(User)] == users


class ServedWorld(World):
    """A world behind a server."""

    place = "server"


class ServedRecords(Records):
    """The same behind a server, which prunes by itself."""

    kind = ServedWorld

    def sweep(self) -> None:
        """Nothing to do."""


TestRecords = Records.TestCase
TestServedRecords = ServedRecords.TestCase
TestServedRecords.settings = settings(max_examples=8)
