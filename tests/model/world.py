"""A small database for typed records: classes to store, and a way to run transactions.

`World` stands where the client's `Database` does: it keeps the schema and retries conflicts.
Below is the real engine over the memory store, without any thread: tests drive everything. Where
`World.place` says "server" that store is behind a real server, and a blocking client above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum, IntEnum
from random import Random
from typing import ClassVar, Concatenate, ParamSpec, Protocol, Self, TypeVar
from uuid import UUID

from msgspec import Struct

from fastness.client.cluster.background import Pumped
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.transaction import BlockingTransaction
from fastness.client.cluster.view import Moment
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Retryable
from fastness.hosting import InlineHost
from fastness.limits import Limits
from fastness.model import (
    PRESENT,
    UNSTAMPED,
    Association,
    Count,
    Entity,
    Index,
    Record,
    Reference,
    Schema,
    Stamp,
    Sum,
    TypedOperations,
    Version,
    build_all,
    desc,
    each,
    field,
    findings,
    register,
)
from fastness.runtime import ManualClock
from fastness.storage import MemoryStore
from fastness.transport.blocking import BlockingProcess
from tests.client.servers import RunningServer

P = ParamSpec("P")
T = TypeVar("T")

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)


class Role(Enum):
    """What a member may do."""

    READER = "reader"
    EDITOR = "editor"


class Level(IntEnum):
    """How urgent something is."""

    LOW = 1
    HIGH = 5


class Address(Struct):
    """A nested structure."""

    street: str
    number: int = 1


class User(Entity, key="id"):
    """An entity with a unique index and a version."""

    id: str
    email: str
    name: str = ""
    joined: datetime = NOON
    version: Version = 0
    by_email = Index("email", unique=True)
    by_name = Index("name")


class Team(Entity, key="id"):
    """An entity without anything."""

    id: UUID
    title: str


class Member(Association):
    """An association with data and an index of its own."""

    user: str
    team: UUID
    role: Role = Role.READER
    joined: datetime = NOON
    source = Reference(User, "user")
    target = Reference(Team, "team")
    by_time = Index("team", desc("joined"))


class Item(Entity, key=("shop", "id"), partition="shop"):
    """Every kind of index, in a partition."""

    shop: str
    id: int
    title: str = ""
    price: int | None = None
    level: Level = Level.LOW
    tags: list[str] = field(default_factory=list)
    made: date = date(2024, 1, 1)
    place: Address | None = None
    parent: int | None = None
    sold: bool = False
    by_title = Index("shop", "title", unique=True, clustered=True, where={"sold": False})
    by_price = Index("shop", desc("price"), "title")
    by_tag = Index("shop", each("tags"))
    priced = Index("price", where={"price": PRESENT}, clustered=True)
    by_level = Index("level", "made")
    items = Count("shop")
    unsold = Count("shop", "level", where={"sold": False})
    worth = Sum("price", "shop")
    everything = Count()
    above = Reference(lambda: Item, "shop", "parent")


class Session(Entity, key="token", expires="ends"):
    """An entity that expires, or does not."""

    token: bytes
    user: str
    ends: datetime | None = None
    by_user = Index("user", clustered=True)
    of_user = Reference(User, "user")


class Change(Entity, key=("shop", "at"), partition="shop"):
    """A log: its key is completed by the commit."""

    shop: str
    at: Stamp = UNSTAMPED
    what: str


ALL = (User, Team, Member, Item, Session, Change)
ONE = UUID(int=1)
TWO = UUID(int=2)


F = TypeVar("F", bound=Callable[..., None])

LOOKS_MAX = 10_000

OWN_ENGINE_ONLY: dict[Callable[..., None], str] = {}
"""Tests that cannot be run behind a server, and why."""


def own_engine_only(reason: str) -> Callable[[F], F]:
    """Have a test run in this process only."""

    def remember(test: F) -> F:
        OWN_ENGINE_ONLY[test] = reason
        return test

    return remember


class Site(Protocol):
    """Where a world's transactions happen."""

    def begin(self, schema: Schema, at: Timestamp | None, *, read_only: bool) -> TypedOperations:
        """One transaction, not retried."""
        ...

    def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        ...

    def close(self) -> None:
        """End."""
        ...


class OwnSite:
    """The engine in this process."""

    def __init__(self, limits: Limits, clock: ManualClock) -> None:
        self.engine = InlineHost(
            MemoryStore(), limits=limits, clock=clock, random=Random(1), durable=True
        )

    def begin(self, schema: Schema, at: Timestamp | None, *, read_only: bool) -> TypedOperations:
        """One transaction, not retried."""
        return TypedOperations(self.engine, schema=schema, at=at, read_only=read_only)

    def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        return self.engine.read_timestamp()

    def close(self) -> None:
        """End."""
        self.engine.close()


class ServedSite:
    """A server, and a client of it."""

    def __init__(self, limits: Limits, clock: ManualClock) -> None:
        # Limits of keys and values are the client's to keep: a server has one set for everybody,
        # and its check knows no system keys.
        usual = Limits()
        wide = replace(limits, key_bytes=usual.key_bytes, value_bytes=usual.value_bytes)
        self._server = RunningServer(limits=wide, clock=clock).start()
        self._process = BlockingProcess(limits=limits)
        self._core = self._process.drive(self._client(limits))

    async def _client(self, limits: Limits) -> ClusterCore:
        node = await self._process.reach(f"unix:{self._server.path}")
        return ClusterCore(self._process, [node], limits, Pumped(self._process))

    def begin(self, schema: Schema, at: Timestamp | None, *, read_only: bool) -> TypedOperations:
        """One transaction, not retried."""
        return BlockingTransaction(
            self._core, self._process.drive, schema=schema, moment=Moment(at), read_only=read_only
        )

    def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""

        async def draw() -> Timestamp:
            return await self._core.timestamps.read()

        return self._process.drive(draw())

    def close(self) -> None:
        """End."""
        self._process.close()
        self._server.close()


class World:
    """One database in memory, the classes it knows, and transactions on it."""

    place: ClassVar[str] = "memory"
    """Or "server": see the module's page."""

    def __init__(self, *classes: type[Record], limits: Limits | None = None) -> None:
        self.clock = ManualClock()
        self.limits = limits or Limits()
        make = OwnSite if self.place == "memory" else ServedSite
        self.site: Site = make(self.limits, self.clock)
        self.schema = Schema(limits=self.limits)
        self.classes: tuple[type[Record], ...] = ()
        try:
            self.use(*classes)
        except BaseException:
            self.close()
            raise

    @property
    def engine(self) -> InlineHost:
        """The engine in this process."""
        assert isinstance(self.site, OwnSite), "only a world of this process has an engine"
        return self.site.engine

    def begin(self, *, at: Timestamp | None = None, read_only: bool = False) -> TypedOperations:
        """One transaction, not retried."""
        return self.site.begin(self.schema, at, read_only=read_only)

    def run(
        self,
        function: Callable[Concatenate[TypedOperations, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """A transaction, retried until it commits."""
        while True:
            try:
                with self.begin() as tx:
                    found = function(tx, *args, **kwargs)
            except Retryable:
                continue
            return found

    def use(self, *classes: type[Record]) -> list[str]:
        """Register classes; answers what changed."""
        registration = self.run(register, classes, self.limits)
        self.schema, self.classes = registration.schema, classes
        return registration.changes

    def refresh(self) -> None:
        """Take up the registry's present schema."""
        self.use(*self.classes)

    def build(self, records: int = 3) -> dict[str, str]:
        """Build every index to its end, in small steps."""
        return build_all(self.run, self.refresh, lambda: False, records)

    def wrong(self) -> list[str]:
        """What a check finds."""
        return [str(finding) for finding in findings(self.begin(read_only=True))]

    def pass_time(self, **amount: float) -> datetime:
        """Let time pass; answers what time it is then."""
        self.clock.advance(milliseconds=int(timedelta(**amount) / timedelta(milliseconds=1)))
        # A server's timestamps follow its clock as soon as their ceiling has risen.
        looks = 0
        while self.site.now() >> 18 < self.clock.wall_ms():
            looks += 1
            assert looks < LOOKS_MAX, "timestamps do not follow the clock"
        return self.now()

    def sweep(self) -> None:
        """Prune everything that nobody reads from now on, what has expired too."""
        while self.engine.prune_to(self.engine.read_timestamp()):
            pass

    def rows(self) -> int:
        """How many newest versions the store keeps, expired or not."""
        return self.engine.store.size().newest_keys

    def now(self) -> datetime:
        """What the clock says."""
        return datetime.fromtimestamp(self.clock.wall_ms() / 1_000, UTC)

    def close(self) -> None:
        """End."""
        self.site.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
