"""What every `Coordinator` promises, run on each implementation."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from fastness.errors import LimitExceeded
from fastness.placement.bounds import OPERATIONS_MAX, WRITE_BYTES_MAX
from fastness.placement.coordinator import Coordinator, Entry, Put

TTL_MS = 400


class Surroundings(ABC):
    """Where a coordinator runs, and the processes that reach it."""

    @abstractmethod
    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario with an empty coordinator."""

    @abstractmethod
    def reached(self, name: str) -> Coordinator:
        """The coordinator as the process of that name reaches it; inside a scenario."""

    @abstractmethod
    async def wait(self, milliseconds: float) -> None:
        """Let so much time pass."""

    async def until(self, holds: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """Wait until something holds; a run has its own end."""
        while not await holds():
            await self.wait(TTL_MS / 20)


class CoordinatorSuite:
    """Take it up in a class with a fixture `surroundings`."""

    def test_writes_compare_and_raise_the_revision(self, surroundings: Surroundings) -> None:
        """A write happens wholly or not at all, as the revisions say; comparing writes nothing."""

        async def scenario() -> None:
            coordinator = surroundings.reached("a")
            revision, entries = await coordinator.read("")
            assert entries == {}
            first = await coordinator.write({"a": 0}, [Put("a", b"1"), Put("b", b"2")])
            assert first is not None
            assert first > revision
            assert await coordinator.write({"a": 0}, [Put("c", b"3")]) is None
            assert await coordinator.write({"a": first, "c": 0}, []) == first
            second = await coordinator.write({"b": first}, [Put("b", b"4")], ("a",))
            assert second is not None
            assert second > first
            assert await coordinator.read("") == (second, {"b": Entry(b"4", second)})
            await coordinator.write({}, [Put("x/2", b""), Put("x/1", b""), Put("y", b"")])
            _revision, under = await coordinator.read("x/")
            assert list(under) == ["x/1", "x/2"]

        surroundings.run(scenario)

    def test_a_counter_raised_by_many_loses_nothing(self, surroundings: Surroundings) -> None:
        """Compare-and-set by several at once is linearizable, whatever overtakes what."""

        async def raise_often(name: str) -> None:
            coordinator = surroundings.reached(name)
            done = 0
            while done < 10:
                _revision, entries = await coordinator.read("counter")
                entry = entries.get("counter", Entry(b"\x00", 0))
                put = Put("counter", bytes([entry.value[0] + 1]))
                done += await coordinator.write({"counter": entry.revision}, [put]) is not None

        async def scenario() -> None:
            await asyncio.gather(*(raise_often(name) for name in ("a", "b", "c")))
            _revision, entries = await surroundings.reached("d").read("counter")
            assert entries["counter"].value == bytes([30])

        surroundings.run(scenario)

    def test_a_session_kept_alive_lives_on(self, surroundings: Surroundings) -> None:
        """Left alone it ends, not before its time, with the keys that are bound to it alone."""

        async def scenario() -> None:
            coordinator, witness = surroundings.reached("a"), surroundings.reached("b")
            session = await coordinator.open_session(TTL_MS)
            assert session != 0
            await coordinator.write({}, [Put("sessions/1", b"", session), Put("other", b"")])
            for _ in range(5):
                await surroundings.wait(TTL_MS * 0.6)
                assert await coordinator.keep_alive(session)

            async def is_gone() -> bool:
                return "sessions/1" not in (await witness.read(""))[1]

            assert not await is_gone()
            await surroundings.until(is_gone)
            assert not await coordinator.keep_alive(session)
            assert list((await witness.read(""))[1]) == ["other"]
            assert await coordinator.write({}, [Put("late", b"", session)]) is None

        surroundings.run(scenario)

    def test_a_session_is_ended_by_its_owner(self, surroundings: Surroundings) -> None:
        """Its keys go at once, and ending it again does nothing."""

        async def scenario() -> None:
            coordinator = surroundings.reached("a")
            session = await coordinator.open_session(TTL_MS)
            other = await coordinator.open_session(TTL_MS)
            assert session != other
            await coordinator.write({}, [Put("bound", b"", session)])
            revision, _entries = await coordinator.read("")
            await coordinator.end_session(session)
            await coordinator.end_session(session)
            after, entries = await coordinator.read("")
            assert entries == {}
            assert after > revision
            assert await coordinator.keep_alive(other)

        surroundings.run(scenario)

    def test_the_largest_write_is_taken_and_a_larger_one_refused(
        self, surroundings: Surroundings
    ) -> None:
        """As many keys as any coordinator takes, descriptors of ranges among them."""

        async def scenario() -> None:
            coordinator = surroundings.reached("a")
            puts = [Put(f"ranges/{number}", b"x") for number in range(OPERATIONS_MAX)]
            absent = {put.key: 0 for put in puts}
            revision = await coordinator.write(absent, puts)
            assert revision is not None
            with pytest.raises(LimitExceeded, match="101 keys, at most 100"):
                await coordinator.write({}, [*puts, Put("one more", b"")])
            with pytest.raises(LimitExceeded, match="101 keys, at most 100"):
                await coordinator.write({**absent, "one more": 0}, [])
            with pytest.raises(LimitExceeded, match="bytes, at most"):
                await coordinator.write({}, [Put("large", bytes(WRITE_BYTES_MAX))])
            assert await coordinator.read("") == (
                revision,
                {put.key: Entry(b"x", revision) for put in sorted(puts)},
            )

        surroundings.run(scenario)

    def test_readings_of_everything_follow_every_change(self, surroundings: Surroundings) -> None:
        """Whatever is written and deleted, by whom, between two readings of the same process."""

        async def scenario() -> None:
            random = Random(5)
            reader, writer = surroundings.reached("a"), surroundings.reached("b")
            kept: dict[str, Entry] = {}
            keys = [f"{kind}{n}" for kind in ("ranges/", "nodes/", "z/") for n in range(6)]
            keys += ["ranges", "ranges0", "oracle"]
            for _ in range(60):
                coordinator = random.choice((reader, writer))
                chosen = random.sample(keys, random.randrange(1, 5))
                cut = random.randrange(len(chosen) + 1)
                puts = [Put(key, random.randbytes(2)) for key in chosen[:cut]]
                revision = await coordinator.write({}, puts, tuple(chosen[cut:]))
                assert revision is not None
                kept |= {put.key: Entry(put.value, revision) for put in puts}
                for key in chosen[cut:]:
                    kept.pop(key, None)
                if random.random() < 0.7:
                    _revision, entries = await reader.read("")
                    assert list(entries.items()) == sorted(kept.items())

        surroundings.run(scenario)

    def test_a_watcher_hears_of_its_prefix(self, surroundings: Surroundings) -> None:
        """Some time after a change, once or more; not of other keys, not after it was cancelled."""

        async def scenario() -> None:
            heard: list[str] = []
            coordinator, writer = surroundings.reached("a"), surroundings.reached("b")
            watch = coordinator.watch("ranges/", lambda: heard.append("ranges"))
            coordinator.watch("nodes/", lambda: heard.append("nodes"))
            session = await writer.open_session(3_600_000)

            async def is_heard() -> bool:
                return bool(heard)

            for put, what in (
                (Put("ranges/1", b""), "ranges"),
                (Put("nodes/1", b"", session), "nodes"),
            ):
                await writer.write({}, [put])
                await surroundings.until(is_heard)
                assert heard == [what]
                heard.clear()
            watch.cancel()
            await writer.write({}, [], ("ranges/1",))
            await writer.end_session(session)
            await surroundings.until(is_heard)
            assert heard == ["nodes"]

        surroundings.run(scenario)
