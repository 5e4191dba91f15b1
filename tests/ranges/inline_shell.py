"""A shell for leaseholders that answers from a memory store, step by step as a test says.

The second real implementation of `Ports` beside the node's: one store, one oracle, any number of
leaseholders in it. Nothing happens by itself: `run` carries out what was asked for, `hold` lets a
kind of effect wait, so that a test can stand in the middle of a commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from fastness.encoding.intervals import SYSTEM_END, KeyInterval
from fastness.encoding.timestamps import Timestamp, from_milliseconds
from fastness.errors import FastnessError, StoreDamaged
from fastness.limits import Limits
from fastness.ranges.identity import TransactionId, anchor_of, transaction_id
from fastness.ranges.leaseholder import Leaseholder
from fastness.ranges.ports import Caller, FoundAtOnce, StoreFound
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Content,
    Decide,
    Decision,
    Interval,
    Invalidate,
    Pending,
    Prepare,
    RangeAnswer,
    RangeRequest,
    Read,
    ReadAnswer,
    Resolve,
    Resolved,
    Scan,
    Write,
)
from fastness.ranges.shape import SHAPE_RECORD, Shape, decode_shape
from fastness.storage.contract import Batch, RangeState
from fastness.storage.memory import MemoryStore

START = from_milliseconds(1_000_000)
INNER = "node"


class World:
    """One store, one oracle, and the leaseholders of its ranges."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.store = MemoryStore(identity="0" * 32)
        self.issued: Timestamp = START
        self.boot_ns = 0
        self.answers: dict[int, RangeAnswer | FastnessError] = {}
        self.notices: list[tuple[str, Invalidate]] = []
        self.held: dict[str, deque[Callable[[], None]]] = {}
        self.effects: deque[tuple[str, Callable[[], None]]] = deque()
        self.ranges: dict[int, Shell] = {}
        self.damaged: list[bytes] = []
        """Keys that the store cannot read."""
        self.at_once = False
        """Whether the store is read at once where nothing holds reads back."""
        self.refusal: FastnessError | None = None
        """Why the store takes no writes."""
        self.may_cache = True
        self.stories: list[str] = []
        self._numbers = 0

    def draw(self, count: int = 1) -> Timestamp:
        """The first of `count` new timestamps."""
        first = self.issued + 1
        self.issued += count
        return first

    def open(self, range_id: int = 1, begin: bytes = b"", end: bytes = SYSTEM_END) -> Shell:
        """Take a range over at the next epoch, serving commits."""
        epoch = self.store.range_epoch(range_id) + 1
        state = self.store.open_range(range_id, epoch)
        data = state.records.get(SHAPE_RECORD)
        shape = decode_shape(data) if data else Shape(range_id, begin, end, 1)
        shell = self.adopt(state, shape)
        shell.leaseholder.allow_commits()
        return shell

    def adopt(self, state: RangeState, shape: Shape) -> Shell:
        """Serve a range whose state is at hand."""
        shell = self.ranges[state.range_id] = Shell(self, state, shape)
        return shell

    def at(self, key: bytes) -> Shell:
        """Who holds a key."""
        for shell in self.ranges.values():
            if shell.leaseholder.shape.interval.contains(key):
                return shell
        raise AssertionError(f"nobody holds {key!r}")

    def later(self, kind: str, effect: Callable[[], None]) -> None:
        """Carry out an effect on the next `run`, or once its kind is let go."""
        if kind in self.held:
            self.held[kind].append(effect)
        else:
            self.effects.append((kind, effect))

    @contextmanager
    def hold(self, *kinds: str) -> Iterator[None]:
        """Keep effects of these kinds back until the block ends."""
        for kind in kinds:
            self.held[kind] = deque()
        yield
        for kind in kinds:
            self.effects.extend((kind, effect) for effect in self.held.pop(kind))
        self.run()

    def run(self) -> None:
        """Carry out everything asked for, and what follows from it."""
        while self.effects:
            kind, effect = self.effects.popleft()
            if kind in self.held:
                self.held[kind].append(effect)
            else:
                effect()

    def ask(self, request: RangeRequest, client: str = "client") -> int:
        """Send a request to the range it names; the number under which its answer appears."""
        number = self.number()
        self.ranges[request.range_id].leaseholder.handle(Caller(client, number), request)
        self.run()
        return number

    def number(self) -> int:
        """The number of a call that is sent now, whenever it arrives."""
        self._numbers += 1
        return self._numbers

    def answer(self, number: int) -> RangeAnswer | FastnessError | None:
        """The answer to a request, `None` while there is none."""
        return self.answers.get(number)

    # Requests, shortened.

    def identity(self, anchor: bytes, birth: Timestamp = 0) -> TransactionId:
        """A new transaction id."""
        self._numbers += 1
        return transaction_id(birth=birth or self.issued, nonce=self._numbers, anchor=anchor)

    def commit(
        self,
        writes: dict[bytes, bytes | None] | None = None,
        *,
        reads: list[bytes] | None = None,
        at: Timestamp = 0,
        identity: TransactionId | None = None,
        client: str = "client",
        lease: int = 0,
        **more: object,
    ) -> int:
        """Commit in the range of the first key."""
        content = content_of(writes, reads, at, **more)
        key = first_key(content)
        leaseholder = self.at(key).leaseholder
        request = CommitOne(
            leaseholder.range_id,
            leaseholder.shape.generation,
            identity or self.identity(key),
            self.issued,
            content,
            lease,
        )
        return self.ask(request, client)

    def prepare(
        self,
        identity: TransactionId,
        writes: dict[bytes, bytes | None] | None = None,
        *,
        reads: list[bytes] | None = None,
        at: Timestamp = 0,
        priority: Timestamp = 0,
        deadline: Timestamp = 0,
        **more: object,
    ) -> int:
        """Prepare in the range of the first key."""
        content = content_of(writes, reads, at, **more)
        leaseholder = self.at(first_key(content)).leaseholder
        request = Prepare(
            leaseholder.range_id,
            leaseholder.shape.generation,
            identity,
            priority or self.issued,
            deadline or self.issued + from_milliseconds(2_000),
            content,
        )
        return self.ask(request)

    def decide(
        self, identity: TransactionId, timestamp: Timestamp, spans: list[Interval] | None = None
    ) -> int:
        """Decide at the anchor."""
        leaseholder = self.at(anchor_of(identity)).leaseholder
        return self.ask(
            Decide(
                leaseholder.range_id, leaseholder.shape.generation, identity, timestamp, spans or []
            )
        )

    def read(
        self,
        *keys: bytes,
        at: Timestamp = 0,
        scan: Scan | None = None,
        cache: bool = False,
        each: bool = False,
        client: str = "client",
    ) -> int:
        """Read in the range of the first key."""
        leaseholder = self.at(keys[0] if keys else scan.begin if scan else b"").leaseholder
        request = Read(
            leaseholder.range_id,
            leaseholder.shape.generation,
            list(keys),
            scan,
            at,
            cache,
            each=each,
        )
        return self.ask(request, client)

    def values(self, number: int) -> list[bytes | None]:
        """The values of an answered point read."""
        answer = self.answer(number)
        assert isinstance(answer, ReadAnswer), answer
        return [None if cell is None else cell[8:] for cell in answer.cells]

    def committed(self, number: int) -> Timestamp:
        """The commit timestamp of an answered commit or decision."""
        answer = self.answer(number)
        assert isinstance(answer, Decision), answer
        return answer.timestamp


def content_of(
    writes: dict[bytes, bytes | None] | None,
    reads: list[bytes] | None,
    at: Timestamp,
    **more: object,
) -> Content:
    """A content of plain writes and reads; `more` sets other fields."""
    content = Content(
        read_timestamp=at,
        read_keys=reads or [],
        writes=[Write(key, value) for key, value in (writes or {}).items()],
    )
    return replace_fields(content, **more)


def replace_fields(content: Content, **more: object) -> Content:
    """A copy with other fields."""
    import msgspec  # noqa: PLC0415 - only here

    return msgspec.structs.replace(content, **more)


def first_key(content: Content) -> bytes:
    """Some key of a content."""
    keys = [write.key for write in content.writes]
    keys += [*content.atomics, *content.read_keys, *content.stamped_values]
    keys += [one.first for one in content.stamped_keys]
    keys += [one[0] for one in (*content.erased, *content.read_intervals)]
    return keys[0]


def split(world: World, key: bytes) -> None:
    """Split range 1 at `key` into ranges 1 and 9."""
    leaseholder = world.ranges[1].leaseholder
    leaseholder.pause(
        lambda: leaseholder.split(
            key,
            9,
            lambda state, shape: world.adopt(state, shape).leaseholder.allow_commits(),
        )
    )
    world.run()
    leaseholder.resume()
    world.run()


class Shell:
    """The ports of one leaseholder."""

    def __init__(self, world: World, state: RangeState, shape: Shape) -> None:
        self.world = world
        self.lease_ms = 1_000_000.0
        self.leaseholder = Leaseholder(state, shape, limits=world.limits, ports=self)

    def answer(self, caller: Caller, body: RangeAnswer) -> None:
        """Note the answer under its number."""
        self.world.answers[caller.number] = body

    def refuse(self, caller: Caller, error: FastnessError) -> None:
        """Note the error under its number."""
        self.world.answers[caller.number] = error

    def draw(self, count: int) -> None:
        """A block, drawn when the effect is carried out."""
        self.world.later("draw", lambda: self.leaseholder.drawn(self.world.draw(count), count))

    def observe(self) -> None:
        """The world's time is always known."""

    def apply(self, batch: Batch) -> None:
        """Apply and sync."""

        def effect() -> None:
            self.world.store.apply(batch)
            self.world.store.sync()
            self.leaseholder.applied(batch.number)

        self.world.later("apply", effect)

    def write_refusal(self) -> FastnessError | None:
        """As the test says."""
        return self.world.refusal

    def may_cache(self) -> bool:
        """As the test says."""
        return self.world.may_cache

    def read_at_once(
        self, keys: list[bytes], scan: Scan | None, at: Timestamp
    ) -> FoundAtOnce | FastnessError | None:
        """Read the store now, if the test says so."""
        if not self.world.at_once or "read" in self.world.held:
            return None
        found = self._found(keys, scan, at)
        return found if isinstance(found, FastnessError) else FoundAtOnce(*found, cut=False)

    def read(self, token: int, keys: list[bytes], scan: Scan | None, at: Timestamp) -> None:
        """Read the store when the effect is carried out."""

        def effect() -> None:
            found = self._found(keys, scan, at)
            if isinstance(found, FastnessError):
                self.leaseholder.read_failed(token, found)
            else:
                self.leaseholder.read_done(token, *found)

        self.world.later("read", effect)

    def _found(
        self, keys: list[bytes], scan: Scan | None, at: Timestamp
    ) -> StoreFound | FastnessError:
        damaged = [key for key in keys if key in self.world.damaged]
        if damaged:
            return StoreDamaged(f"{damaged[0]!r} is damaged")
        store = self.world.store
        entries = []
        if scan is not None:
            interval = KeyInterval(scan.begin, scan.end)
            entries = store.scan(interval, at=at, limit=scan.limit, reverse=scan.reverse)
        horizon = store.prune_horizon(self.leaseholder.range_id)
        return store.get_many(keys, at), entries, horizon

    def ask(self, identity: TransactionId, deadline: Timestamp) -> None:
        """Ask the anchor's range."""

        def effect() -> None:
            anchor = self.world.at(anchor_of(identity)).leaseholder
            number = self.world.ask(
                Ask(anchor.range_id, anchor.shape.generation, identity, deadline), INNER
            )
            answer = self.world.answer(number)
            if isinstance(answer, Decision):
                self.leaseholder.told(identity, answer.timestamp)
            else:
                assert isinstance(answer, Pending | FastnessError), answer

        self.world.later("ask", effect)

    def resolve(self, identity: TransactionId, timestamp: Timestamp, span: Interval) -> None:
        """Tell every range of the span."""

        def effect() -> None:
            for shell in list(self.world.ranges.values()):
                other = shell.leaseholder
                if not other.shape.interval.overlaps(KeyInterval(*span)):
                    continue
                number = self.world.ask(
                    Resolve(other.range_id, other.shape.generation, identity, timestamp), INNER
                )
                answer = self.world.answer(number)
                if isinstance(answer, Resolved):
                    self.leaseholder.resolved(identity, answer.span)

        self.world.later("resolve", effect)

    def invalidate(self, client: str, notice: Invalidate) -> None:
        """Keep the notice for the test to acknowledge."""
        self.world.notices.append((client, notice))

    def lease_left_ms(self) -> float:
        """As long as the test says."""
        return self.lease_ms

    def boot_ns(self) -> int:
        """The world's clock."""
        return self.world.boot_ns

    def issued(self) -> Timestamp:
        """The world's oracle is known to everybody at once."""
        return self.world.issued

    def alarm(self, what: str) -> None:
        """Keep it among the stories."""
        self.world.stories.append(f"ALARM: {what}")

    def note(self, event: str) -> None:
        """Keep the story."""
        self.world.stories.append(event)


def two_ranges(limits: Limits | None = None) -> World:
    """A world of two ranges that meet at `m`."""
    world = World(limits=limits)
    world.open(1, b"", b"m")
    world.open(2, b"m", SYSTEM_END)
    return world


def small(**changes: int) -> Limits:
    """Limits with some fields shrunk."""
    return replace(Limits(), **changes)
