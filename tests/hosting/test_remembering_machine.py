"""The memory over a store, against a list of versions: whatever it tells is so, and stays so.

The store is one whose requests take effect, and are answered, when the machine says: late, in any
order, or never. What memory answers must be true whether the batches under way take place or not;
what comes through it must have been true at some moment between the question and the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, Unreachable
from fastness.hosting.remembering import Pool, RememberingStore
from fastness.hosting.remote import StoreAnswer, StorePrune, StoreRead
from fastness.ranges.requests import Scan
from fastness.storage import Batch, Change, CommittedWrites, MemoryStore, RangeState
from fastness.storage.cells import expiring, lasting, plain

RANGE = 1
KEYS = [b"%c" % letter for letter in b"abcdef"]
EDGES = [b"", *KEYS, b"z"]
STEPS = 400


class Asked(NamedTuple):
    """A request on its way: what carries it out, and whom its answer is for."""

    carry_out: Callable[[], object]
    done: Callable[[Any], None]


class SteeredStore:
    """A `RemoteStore` over memory that does nothing by itself."""

    def __init__(self) -> None:
        self.store = MemoryStore(identity="0" * 32)
        self.refusal: FastnessError | None = None
        self.asked: list[Asked] = []
        self.answers: list[tuple[Callable[[Any], None], object]] = []

    def open_range(
        self, range_id: int, epoch: int, done: Callable[[RangeState | FastnessError], None]
    ) -> None:
        """At once: the machine steers what comes before and after."""
        done(self.store.open_range(range_id, epoch))

    def apply(self, batch: Batch, done: Callable[[FastnessError | None], None]) -> None:
        """When the machine says so."""
        self.asked.append(Asked(lambda: self.store.apply(batch), done))

    def settle(
        self, range_id: int, epoch: int, number: int, done: Callable[[bool | FastnessError], None]
    ) -> None:
        """At once."""
        done(self.store.settle(range_id, epoch, number))

    def read_at_once(self, _request: StoreRead) -> None:
        """Never: it is far away."""

    def read(self, request: StoreRead, done: Callable[[StoreAnswer | FastnessError], None]) -> None:
        """When the machine says so."""
        self.asked.append(Asked(lambda: self._found(request), done))

    def _found(self, request: StoreRead) -> StoreAnswer:
        store, scan = self.store, request.scan
        entries = []
        if scan is not None:
            interval = KeyInterval(scan.begin, scan.end)
            entries = store.scan(interval, at=request.at, limit=scan.limit, reverse=scan.reverse)
        cells = store.get_many(request.keys, request.at)
        return StoreAnswer(cells, entries, store.range_number(RANGE), store.prune_horizon(RANGE))

    def prune(self, request: StorePrune, done: Callable[[int | FastnessError], None]) -> None:
        """At once."""
        where = KeyInterval(*request.interval)
        done(self.store.prune(RANGE, where, request.horizon, request.limit, epoch=request.epoch))

    def changes(
        self,
        after: Timestamp,
        up_to: Timestamp,
        limit: int,
        done: Callable[[list[Change] | FastnessError], None],
    ) -> None:
        """At once."""
        done(self.store.changes(after, up_to, limit))

    def take_effect(self, place: int) -> None:
        """A request reaches the store."""
        asked = self.asked.pop(place % len(self.asked))
        result: object
        try:
            result = asked.carry_out()
        except FastnessError as error:
            result = error
        self.answers.append((asked.done, result))

    def give_up(self, place: int) -> None:
        """A request is taken for lost by whoever sent it; it may arrive all the same."""
        place %= len(self.asked)
        carry_out, done = self.asked[place]
        self.asked[place] = Asked(carry_out, lambda _late: None)
        done(Unreachable("no answer"))

    def answer(self, place: int, *, lost: bool) -> None:
        """An answer arrives, or the patience of whoever waits for it ends."""
        done, result = self.answers.pop(place % len(self.answers))
        done(Unreachable("no answer") if lost else result)


class Now:
    """A process whose timers end at once."""

    def call_later(self, _milliseconds: float, callback: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - handed through
        """Call back."""
        callback(*args)


class Model:
    """Every version of every key, in a list."""

    def __init__(self) -> None:
        self.versions: dict[bytes, list[tuple[Timestamp, bytes | None]]] = {key: [] for key in KEYS}

    def copy(self) -> Model:
        """Another one that goes its own way."""
        copy = Model()
        copy.versions = {key: list(versions) for key, versions in self.versions.items()}
        return copy

    def changed(self, key: bytes) -> Timestamp:
        """When a key last changed."""
        return self.versions[key][-1][0] if self.versions[key] else 0

    def cell(self, key: bytes, at: Timestamp) -> bytes | None:
        """The version at a timestamp."""
        found = [cell for began, cell in self.versions[key] if began <= at]
        return found[-1] if found else None

    def scan(self, scan: Scan, at: Timestamp) -> list[tuple[bytes, bytes]]:
        """The entries at a timestamp."""
        inside = [key for key in KEYS if scan.begin <= key < scan.end]
        found = [(key, self.cell(key, at)) for key in inside]
        entries = [(key, cell) for key, cell in found if cell is not None]
        return (entries[::-1] if scan.reverse else entries)[: scan.limit]

    def apply(self, batch: Batch) -> None:
        """A batch takes place."""
        for commit in sorted(batch.commits + batch.resolved, key=lambda one: one.timestamp):
            self._apply(commit)

    def _apply(self, commit: CommittedWrites) -> None:
        at = commit.timestamp
        for interval in commit.erased:
            for key in KEYS:
                there = interval.contains(key) and self.cell(key, at) is not None
                if there and self.changed(key) < at:
                    self.versions[key].append((at, None))
        for key, value in commit.writes.items():
            expires = (commit.expiries or {}).get(key)
            cell = None
            if value is not None:
                cell = plain(at, value) if expires is None else expiring(at, expires, value)
            self.versions[key] = [one for one in self.versions[key] if one[0] < at] + [(at, cell)]


class Machine:
    """See the module's page. Everything it does it draws from one source."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.far = SteeredStore()
        self.pool = Pool(random.choice([1 << 20, 1 << 20, 30_000, 12_000, 9_000, 1]))
        self.store = RememberingStore(self.far, self.pool, Now())  # type: ignore[arg-type]  # all it needs
        self.decided = Model()
        self.batch: Batch | None = None
        """Under way, or in doubt."""
        self.in_doubt = False
        self.now = 100
        self.epoch = 0
        self.number = 0
        self.horizon = 0
        self.reads: list[list[Model]] = []
        """For each read under way the states there were since it was sent."""
        self.open()

    def run(self) -> None:
        """Do this and that."""
        random = self.random
        acts = [self.look] * 6 + [self.read] * 4 + [self.send] * 4 + [self.arrive, self.answer] * 3
        acts += [self.settle, self.prune]
        for _ in range(STEPS):
            draw = random.random()
            if draw < 0.01:
                self.open()
            elif draw < 0.02:
                self.somebody_else_writes()
            else:
                random.choice(acts)()
            assert 0 <= self.pool.size <= self.pool.bytes_max

    def possible(self) -> list[Model]:
        """What may be true: without the batch under way, and with it."""
        states = [self.decided.copy()]
        if self.batch is not None:
            taken = self.decided.copy()
            taken.apply(self.batch)
            states.append(taken)
        return states

    def note(self) -> None:
        """Every read under way may see this."""
        for states in self.reads:
            states.extend(self.possible())

    def open(self) -> None:
        """Open the range at the next epoch, as whoever was fenced or lost its lease does."""
        self.epoch += 1
        states: list[Any] = []
        self.store.open_range(RANGE, self.epoch, states.append)
        (state,) = states
        if self.batch is not None:
            # What became of the last holder's batch stands in the store.
            if state.batch_number >= self.batch.number:
                self.decided.apply(self.batch)
            self.batch, self.in_doubt = None, False
        self.number = state.batch_number
        self.note()

    def somebody_else_writes(self) -> None:
        """Another process opens the range and commits; then it is opened here again."""
        store = self.far.store
        self.open()
        self.epoch += 1
        state = store.open_range(RANGE, self.epoch)
        self.now += 10
        key = self.random.choice(KEYS)
        writes = CommittedWrites(self.now, {key: b"elsewhere"}, (self.interval(),))
        batch = Batch(RANGE, self.epoch, state.batch_number + 1, [writes])
        store.apply(batch)
        self.decided.apply(batch)
        self.note()
        self.open()

    def interval(self) -> KeyInterval:
        """Some interval, perhaps an empty one."""
        return KeyInterval(*sorted(self.random.choices(EDGES, k=2)))

    def send(self) -> None:
        """A batch of commits, of late ones too."""
        random = self.random
        if self.batch is not None:
            return
        commits: list[CommittedWrites] = []
        for _ in range(random.randint(0, 2)):
            self.now += random.randint(1, 10)
            commits.append(self.writes(self.now, KEYS, erases=True))
        self.number += 1
        resolved = self.late(commits)
        self.batch = Batch(RANGE, self.epoch, self.number, commits, resolved=resolved)
        self.note()
        self.store.apply(self.batch, partial(self.told, self.batch))
        self.let_go()

    def late(self, commits: list[CommittedWrites]) -> list[CommittedWrites]:
        """A transaction resolved late, above the versions of its keys alone; or none."""
        random = self.random
        written = {key for one in commits for key in one.writes}
        free = [key for key in KEYS if key not in written]
        if not free or random.random() < 0.5:
            return []
        chosen = random.sample(free, k=min(len(free), random.randint(1, 2)))
        above = max(self.horizon, *map(self.decided.changed, chosen)) + 1
        at = random.randint(above, max(above, self.now))
        if at in {one.timestamp for one in commits}:
            return []
        self.now = max(self.now, at)
        return [self.writes(at, chosen, erases=not commits)]

    def writes(self, at: Timestamp, chosen: list[bytes], *, erases: bool) -> CommittedWrites:
        """Some writes and, now and then, an erased interval."""
        random = self.random
        written = {
            key: random.choice([None, b"", b"%d" % at, b"x" * random.randint(1, 60)])
            for key in random.sample(chosen, k=random.randint(0, min(3, len(chosen))))
        }
        erased = (self.interval(),) if erases and random.random() < 0.2 else ()
        values = [key for key, value in written.items() if value is not None]
        expiries = None
        if values and random.random() < 0.2:
            expiries = {values[0]: at + random.randint(0, 40)}
        return CommittedWrites(at, written, erased, expiries)

    def let_go(self) -> None:
        """Have what was asked last take effect, and be answered: mostly at once."""
        draw = self.random.random()
        if draw < 0.75 and self.far.asked:
            self.far.take_effect(-1)
            if draw < 0.6:
                self.far.answer(-1, lost=False)

    def told(self, batch: Batch, error: FastnessError | None) -> None:
        """The answer to a batch."""
        if batch is not self.batch:
            return
        if error is None:
            self.decided.apply(batch)
            self.batch = None
            self.note()
        else:
            self.in_doubt = True

    def settle(self) -> None:
        """Ask what became of a batch in doubt."""
        if not self.in_doubt:
            return
        answers: list[Any] = []
        self.store.settle(RANGE, self.epoch, self.number, answers.append)
        if answers == [True] and self.batch is not None:
            self.decided.apply(self.batch)
        self.batch, self.in_doubt = None, False
        self.note()

    def arrive(self) -> None:
        """A request reaches the store, or is given up before it does."""
        if self.far.asked and self.random.random() < 0.2:
            self.far.give_up(self.random.randrange(9))
        elif self.far.asked:
            self.far.take_effect(self.random.randrange(9))

    def answer(self) -> None:
        """An answer arrives, or is lost."""
        if self.far.answers:
            self.far.answer(self.random.randrange(9), lost=self.random.random() < 0.2)

    def look(self) -> None:
        """Ask memory."""
        request = self.request()
        answer = self.store.read_at_once(request)
        if answer is not None:
            assert answer.number == self.number - (self.batch is not None)
            for state in self.possible():
                assert told_by(state, request, answer), (request, answer)

    def read(self) -> None:
        """Ask memory, and the store for the rest."""
        request = self.request()
        states = self.possible()
        self.reads.append(states)

        def done(answer: StoreAnswer | FastnessError) -> None:
            self.reads[:] = [one for one in self.reads if one is not states]
            if isinstance(answer, StoreAnswer):
                for key, cell in zip(request.keys, answer.cells, strict=True):
                    part = StoreAnswer([cell], [], 0, answer.prune_horizon)
                    asked = StoreRead(RANGE, [key], request.at)
                    assert any(told_by(state, asked, part) for state in states), (request, answer)

        asked = len(self.far.asked)
        self.store.read(request, done)
        if len(self.far.asked) > asked:
            self.let_go()

    def request(self) -> StoreRead:
        """A read a little below the newest timestamp, or a little above."""
        random = self.random
        at = self.now + 5 - random.randint(0, 40)
        if random.random() < 0.6:
            return StoreRead(RANGE, random.choices(KEYS, k=random.randint(1, 3)), at)
        begin, end = self.interval()
        return StoreRead(
            RANGE, [], at, Scan(begin, end, random.randint(1, 7), random.random() < 0.5)
        )

    def prune(self) -> None:
        """Remove what nobody at or above a horizon sees."""
        if self.batch is None:
            self.horizon = max(self.horizon, self.now - self.random.randint(5, 60))
            everything = (b"", b"\xff")
            request = StorePrune(RANGE, self.epoch, everything, self.horizon, 5)
            self.store.prune(request, lambda _answer: None)


def told_by(state: Model, request: StoreRead, answer: StoreAnswer) -> bool:
    """Whether an answer is what this state tells, to readers who are let in."""
    at, horizon = request.at, answer.prune_horizon
    if at < horizon:
        return True
    cells = [lasting(state.cell(key, at), horizon) for key in request.keys]
    if cells != [lasting(cell, horizon) for cell in answer.cells]:
        return False
    if request.scan is None:
        return True
    whole = Scan(request.scan.begin, request.scan.end, 100, request.scan.reverse)
    told = [item for item in answer.entries if lasting(item[1], horizon) is not None]
    wanted = [one for one in state.scan(whole, at) if lasting(one[1], horizon) is not None]
    # Expired ones, which may be there or not, take places of the limit.
    complete = len(answer.entries) < request.scan.limit
    return told == (wanted if complete else wanted[: len(told)])


@pytest.mark.parametrize("seed", range(60))
def test_whatever_it_tells_is_so(seed: int) -> None:
    """Under loss, doubt, reopening and eviction."""
    Machine(Random(seed)).run()
