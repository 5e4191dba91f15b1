"""The memory over a store far away: it keeps the store's contract, and saves the way there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.errors import FastnessError, Fenced
from fastness.hosting.portions import Room
from fastness.hosting.remembering import Pool, RememberingStore
from fastness.hosting.remote import StoreAnswer, StorePrune, StoreRead
from fastness.ranges.requests import Scan
from fastness.storage import Batch, CommittedWrites, Inherited
from fastness.storage.cells import plain
from fastness.storage.contract import Load, Version
from fastness.testing.simulation import World
from tests.hosting.remote_conformance import RANGE, Reached, RemoteStoreSuite, batch, values
from tests.storage.homes import commit

LARGE, TINY = 1 << 20, 1


class Remembered(Reached):
    """A store of a world, with a memory before it."""

    def __init__(self, world: World, bytes_max: int = LARGE) -> None:
        self.world = world
        self.pool = Pool(bytes_max)
        process = world.process("holder")
        self.far = world.store_for(process, "store")
        self.store = self.remembering = RememberingStore(self.far, self.pool, process)

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it in the world."""
        self.world.run(scenario())

    def at_once(
        self, *keys: bytes, at: int = 1 << 60, scan: Scan | None = None
    ) -> StoreAnswer | None:
        """What memory answers."""
        return self.store.read_at_once(StoreRead(RANGE, list(keys), at, scan))

    async def learned(self, *keys: bytes, at: int, scan: Scan | None = None) -> StoreAnswer:
        """What is answered, the store asked where need be."""
        answer = await self.ask(self.store.read, StoreRead(RANGE, list(keys), at, scan))
        assert isinstance(answer, StoreAnswer)
        return answer


class TestRememberingStore(RemoteStoreSuite):
    """The contract, with no room, little and enough."""

    @pytest.fixture(params=[TINY, 5_000, LARGE])
    def reached(self, request: pytest.FixtureRequest) -> Iterator[Reached]:
        """A store of a world of its own."""
        with World(8) as world:
            yield Remembered(world, request.param)


@pytest.fixture
def here() -> Iterator[Remembered]:
    """A store with a memory that has room."""
    with World(9) as world:
        yield Remembered(world)


def everything(limit: int = 100, *, reverse: bool = False) -> Scan:
    """A scan of all keys."""
    return Scan(b"", b"\xff", limit, reverse)


def test_what_was_read_once_is_at_hand(here: Remembered) -> None:
    """Present keys and absent ones, at every timestamp from which they are known."""

    async def scenario() -> None:
        await here.opened(1)
        assert await here.ask(here.far.apply, batch(1, 1, a="1")) is None
        await here.opened(2)
        assert here.at_once(b"a", at=2_000) is None
        await here.learned(b"a", b"z", at=2_000)
        answer = here.at_once(b"a", b"z", at=3_000)
        assert answer is not None
        assert (values(answer), answer.number) == ([b"1", None], 1)
        # The version is known from its commit on, the absence from where it was read.
        assert here.at_once(b"a", at=1_001) is not None
        assert here.at_once(b"a", at=1_000) is None
        assert here.at_once(b"z", at=1_999) is None
        assert here.pool.counts.misses == 1

    here.run(scenario)


def test_what_was_written_is_at_hand(here: Remembered) -> None:
    """And what it overwrote, for those who read a little behind."""

    async def scenario() -> None:
        await here.opened(1)
        for number in range(1, 4):
            assert await here.ask(here.store.apply, batch(1, number, a=str(number))) is None
        for at in (1_001, 1_002, 1_003, 1_004):
            answer = here.at_once(b"a", at=at)
            assert answer is not None
            assert (values(answer), answer.number) == ([b"%d" % min(3, at - 1_000)], 3)
        assert here.at_once(b"a", at=1_000) is None
        assert here.pool.counts.misses == 0

    here.run(scenario)


def test_a_batch_counts_once_it_is_decided(here: Remembered) -> None:
    """While it is under way nobody is told of it, nor that nothing was written."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.store.apply, batch(1, 1, a="1", b="1"))
        here.world.store("store").pause()
        told: list[object] = []
        here.store.apply(batch(1, 2, a="2"), told.append)
        assert here.at_once(b"a", at=1_002) is None
        old = here.at_once(b"a", at=1_001)
        other = here.at_once(b"b", at=1_002)
        assert old is not None
        assert other is not None
        assert (values(old), values(other)) == ([b"1"], [b"1"])
        here.world.store("store").resume()
        await here.world.sleep(5_000)
        assert told[0] is None or isinstance(told[0], FastnessError)
        await here.ask(here.store.settle, RANGE, 1, 2)
        answer = here.at_once(b"a", at=1_002)
        assert answer is not None
        assert (values(answer), answer.number) == ([b"2"], 2)

    here.run(scenario)


def test_a_lost_batch_leaves_no_trace(here: Remembered) -> None:
    """What it would have overwritten is still the newest."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.store.apply, batch(1, 1, a="1"))
        here.world.network.cut(["holder"], ["store"])
        error = await here.ask(here.store.apply, batch(1, 2, a="2", c="2"))
        assert isinstance(error, FastnessError)
        assert here.at_once(b"a", at=1_002) is None
        here.world.network.heal()
        assert await here.ask(here.store.settle, RANGE, 1, 2) is False
        answer = here.at_once(b"a", at=1_002)
        assert answer is not None
        assert (values(answer), answer.number) == ([b"1"], 2)
        assert here.at_once(b"c", at=1_002) is None

    here.run(scenario)


def test_a_read_that_a_batch_overtakes_is_not_kept(here: Remembered) -> None:
    """It may have been answered before the batch, and be put away after."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.far.apply, batch(1, 1, a="1", b="1"))
        await here.opened(2)
        read = asyncio.ensure_future(here.learned(b"a", b"b", at=1_900, scan=everything()))
        await asyncio.sleep(0)
        await here.ask(here.store.apply, Batch(RANGE, 2, 2, [commit(2_000, a="2")]))
        assert values(await read) == [b"1", b"1"]
        answer = here.at_once(b"a", b"b", at=2_000)
        assert answer is not None
        assert values(answer) == [b"2", b"1"]
        assert here.at_once(at=2_000, scan=everything()) is None
        assert here.pool.counts.unfit == 1

    here.run(scenario)


def test_scans_are_at_hand_and_follow(here: Remembered) -> None:
    """Either way, in parts, as of now and a little before, and for the keys in them."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.far.apply, batch(1, 1, a="1", c="1", e="1"))
        await here.opened(2)
        await here.learned(at=2_000, scan=Scan(b"a", b"f", 10))
        changed = Batch(RANGE, 2, 2, [commit(2_001, b="2", c=None), commit(2_002, e="2")])
        assert await here.ask(here.store.apply, changed) is None

        def keys(at: int, scan: Scan) -> str | None:
            answer = here.at_once(at=at, scan=scan)
            return None if answer is None else b"".join(key for key, _ in answer.entries).decode()

        assert keys(2_002, Scan(b"a", b"f", 10)) == "abe"
        assert keys(2_000, Scan(b"a", b"f", 10)) == "ace"
        assert keys(2_001, Scan(b"a", b"f", 2, reverse=True)) == "eb"
        assert keys(2_000, Scan(b"b", b"f", 2, reverse=True)) == "ec"
        assert keys(1_999, Scan(b"a", b"f", 10)) is None
        assert keys(2_002, Scan(b"a", b"g", 10)) is None
        assert keys(2_002, Scan(b"a", b"g", 3)) == "abe"
        lookups = here.at_once(b"c", b"d", b"e", at=2_001)
        assert lookups is not None
        assert values(lookups) == [None, None, b"1"]

    here.run(scenario)


def test_pages_of_a_scan_join(here: Remembered) -> None:
    """Each page tells of the keys up to its last one alone."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.store.apply, batch(1, 1, **dict.fromkeys("abcdef", "1")))
        await here.opened(2)
        await here.learned(at=2_000, scan=Scan(b"", b"\xff", 3))
        assert here.at_once(at=2_000, scan=everything(4)) is None
        await here.learned(at=2_000, scan=Scan(b"c", b"\xff", 10))
        answer = here.at_once(at=2_000, scan=everything())
        assert answer is not None
        assert [key for key, _ in answer.entries] == [b"a", b"b", b"c", b"d", b"e", b"f"]
        backwards = here.at_once(at=2_000, scan=everything(5, reverse=True))
        assert backwards is not None
        assert [key for key, _ in backwards.entries] == [b"f", b"e", b"d", b"c", b"b"]
        asked = StoreRead(RANGE, [b"a", b"b"], 2_000, everything(), Room(3, 2))
        cut = here.store.read_at_once(asked)
        assert cut is not None
        assert (len(cut.cells), len(cut.entries), cut.cut) == (1, 1, True)

    here.run(scenario)


def test_an_erased_interval_is_absent(here: Remembered) -> None:
    """But for what a later commit has put there."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.store.apply, batch(1, 1, a="1", b="1", c="1"))
        await here.ask(here.store.apply, Batch(RANGE, 1, 2, [commit(1_010, b="2")]))
        await here.learned(at=1_010, scan=everything())
        late = CommittedWrites(1_005, {b"a": b"3"}, (KeyInterval(b"a", b"z"),))
        resolved = Batch(RANGE, 1, 3, [], resolved=[late])
        assert await here.ask(here.store.apply, resolved) is None
        answer = here.at_once(b"a", b"b", b"c", at=1_010, scan=everything())
        assert answer is not None
        assert values(answer) == [b"3", b"2", None]
        assert [key for key, _ in answer.entries] == [b"a", b"b"]
        before = here.at_once(b"a", b"c", at=1_004)
        assert before is not None
        assert values(before) == [b"1", b"1"]

    here.run(scenario)


def test_a_range_opened_again_is_read_again(here: Remembered) -> None:
    """Somebody else may have held it meanwhile."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.store.apply, batch(1, 1, a="1"))
        other = here.world.store_for(here.world.process("other"), "store")
        await here.ask(other.open_range, RANGE, 2)
        await here.ask(other.apply, batch(2, 2, a="2"))
        assert isinstance(await here.ask(here.store.apply, batch(1, 2, a="lost")), Fenced)
        assert here.at_once(b"a", at=3_000) is None
        assert here.pool.size == 0
        await here.opened(3)
        assert values(await here.learned(b"a", at=3_000)) == [b"2"]

    here.run(scenario)


def test_a_range_that_was_carried_here_is_remembered(here: Remembered) -> None:
    """From when it is finished on: nobody opens it again before it is served."""

    async def scenario() -> None:
        await here.opened(1)
        old = Version(plain(1_000, b"1"), 0)
        assert await here.ask(here.store.load, Load(RANGE, 1, 1, [(b"a", [old])], 500)) is None
        await here.learned(b"a", at=2_000)
        assert here.at_once(b"a", at=2_000) is None
        born = Inherited(RANGE, 1, 1_500, 500, {})
        assert await here.ask(here.store.load, Load(RANGE, 1, 2, [], 500, born)) is None
        await here.learned(b"a", b"z", at=1_500)
        answer = here.at_once(b"a", b"z", at=1_500)
        assert answer is not None
        assert (values(answer), answer.number, answer.prune_horizon) == ([b"1", None], 2, 500)

    here.run(scenario)


def test_children_of_a_split_go_on_and_a_merge_begins_anew(here: Remembered) -> None:
    """A split leaves both halves what they knew."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.store.apply, batch(1, 1, a="1", m="1"))
        split = Batch(RANGE, 1, 2, [], splits=[Inherited(8, 1, 1_001, 0, {})])
        assert await here.ask(here.store.apply, split) is None
        assert await here.ask(here.store.apply, Batch(8, 1, 1, [commit(1_005, m="2")])) is None
        child = here.store.read_at_once(StoreRead(8, [b"m"], 1_005))
        parent = here.at_once(b"a", at=1_005)
        assert child is not None
        assert parent is not None
        assert (values(child), child.number, values(parent), parent.number) == (
            [b"2"],
            1,
            [b"1"],
            2,
        )
        assert await here.ask(here.store.apply, Batch(RANGE, 1, 3, [], absorbs=[(8, 1)])) is None
        assert here.at_once(b"a", at=1_005) is None
        assert here.store.read_at_once(StoreRead(8, [b"m"], 1_005)) is None
        assert values(await here.learned(b"a", b"m", at=1_005)) == [b"1", b"2"]
        assert here.at_once(b"a", b"m", at=1_006) is not None

    here.run(scenario)


def test_what_pruning_takes_is_not_missed(here: Remembered) -> None:
    """Answers name the horizon, so that nobody reads below it."""

    async def scenario() -> None:
        await here.opened(1)
        await here.ask(here.store.apply, batch(1, 1, a="1"))
        await here.ask(here.store.apply, batch(1, 2, a="2"))
        prune = StorePrune(RANGE, 1, (b"", b"\xff"), 1_002, 10)
        await here.ask(here.store.prune, prune)
        answer = here.at_once(b"a", at=1_002)
        assert answer is not None
        assert answer.prune_horizon == 1_002

    here.run(scenario)


def test_little_room_is_kept_to() -> None:
    """What was used of late stays, no single thing takes all, and nothing is pinned."""
    with World(10) as world:
        here = Remembered(world, 20_000)

        async def scenario() -> None:
            await here.opened(1)
            number = 0
            for number in range(1, 201):
                writes = {f"k{number:03}": "x" * 100}
                await here.ask(here.store.apply, batch(1, number, **writes))
                await here.learned(b"k001", at=2_000)
            assert here.pool.size <= 20_000
            assert here.pool.counts.evictions > 100
            assert here.at_once(b"k001", at=2_000) is not None
            large = batch(1, number + 1, large="x" * 5_000)
            await here.ask(here.store.apply, large)
            assert here.at_once(b"large", at=2_000) is None
            assert here.at_once(b"k001", at=2_000) is not None
            await here.opened(2)
            assert (here.pool.size, len(here.pool)) == (0, 0)

        here.run(scenario)


def test_older_versions_go_before_their_keys() -> None:
    """Readers of what went are not told something else."""
    with World(11) as world:
        here = Remembered(world, 9_000)

        async def scenario() -> None:
            await here.opened(1)
            for number in range(1, 4):
                await here.ask(here.store.apply, batch(1, number, a=str(number)))
            assert here.at_once(b"a", at=1_002) is not None
            for number in range(4, 60):
                await here.ask(here.store.apply, batch(1, number, **{f"b{number}": "x"}))
                newest = here.at_once(b"a", at=1_003)
                assert newest is not None
                assert values(newest) == [b"3"]
            assert here.at_once(b"a", at=1_002) is None

        here.run(scenario)
