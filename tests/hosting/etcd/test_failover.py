"""Three members, some of which die, freeze or are cut off: nothing stale, nothing twice."""

from __future__ import annotations

import json
from functools import partial

import pytest

from fastness.errors import Unreachable
from fastness.laptop import web
from fastness.laptop.etcd import Member
from fastness.placement.coordinator import Entry, Put
from tests.hosting.etcd.scenes import Scene
from tests.servers.etcd import EtcdCluster

pytestmark = pytest.mark.process


def compact(member: Member, revision: int) -> None:
    """Let etcd forget what was before."""
    body = json.dumps({"revision": str(revision), "physical": True}).encode()
    answer = web.ask(member.place.client_port, "/v3/kv/compaction", body=body)
    assert answer is not None
    assert answer.status == 200


@pytest.mark.parametrize("blow", ["kill", "pause"])
def test_another_member_serves_when_the_leader_is_gone(three: EtcdCluster, blow: str) -> None:
    """Reads, writes, sessions and hints go on, whichever member a process was using."""
    scene = Scene(three.url(), "ab")

    async def scenario() -> None:
        first, second = scene.reached("a"), scene.reached("b")
        heard: list[str] = []
        first.watch("", lambda: heard.append("a"))
        second.watch("", lambda: heard.append("b"))
        session = await first.open_session(10_000)
        revision = await first.write({"k": 0}, [Put("k", b"1", session)])
        assert revision is not None
        leader = three.leader()
        if blow == "kill":
            leader.daemon.kill()
        else:
            leader.daemon.pause()
        for coordinator in (first, second):
            _revision, entries = await scene.surely(partial(coordinator.read, ""))
            assert entries == {"k": Entry(b"1", revision)}
        assert await scene.surely(lambda: first.keep_alive(session))
        heard.clear()
        await scene.surely(lambda: second.write({}, [Put("later", b"")]))

        async def both_heard() -> bool:
            return {"a", "b"} <= set(heard)

        await scene.until(both_heard)
        if blow == "pause":
            leader.daemon.resume()
            assert "later" in (await scene.surely(lambda: first.read("")))[1]

    scene.run(scenario)


def test_a_cut_off_member_answers_nothing_from_its_own_copy(three: EtcdCluster) -> None:
    """Neither reads nor bare comparisons succeed without a quorum; all returns with it."""
    scene = Scene(three.url(), "a")

    async def scenario() -> None:
        coordinator = scene.reached("a")
        revision = await coordinator.write({"k": 0}, [Put("k", b"1")])
        assert revision is not None
        lost = three.followers()
        for member in lost:
            member.daemon.pause()
        with pytest.raises(Unreachable, match="no member"):
            await coordinator.read("")
        with pytest.raises(Unreachable, match="no member"):
            await coordinator.read("k")
        # etcd would say yes to this one, were there no read in it.
        with pytest.raises(Unreachable, match="no member"):
            await coordinator.write({"k": revision}, [])
        with pytest.raises(Unreachable, match="may have been carried out"):
            await coordinator.write({"k": revision}, [Put("k", b"2")])
        for member in lost:
            member.daemon.resume()
        _revision, entries = await scene.surely(lambda: coordinator.read(""))
        # What was in doubt happened once, or not at all.
        assert entries["k"].value in (b"1", b"2")

    scene.run(scenario)


def test_a_session_survives_its_leader(three: EtcdCluster) -> None:
    """It gets its whole time again from the next leader, and then ends unless kept alive."""
    scene = Scene(three.url(), "ab")

    async def scenario() -> None:
        coordinator, witness = scene.reached("a"), scene.reached("b")
        session = await coordinator.open_session(1_000)
        await coordinator.write({}, [Put("bound", b"", session)])
        three.leader().daemon.kill()
        assert await scene.surely(lambda: coordinator.keep_alive(session))
        assert list((await scene.surely(lambda: witness.read("")))[1]) == ["bound"]

        async def is_gone() -> bool:
            return not (await scene.surely(lambda: witness.read("")))[1]

        await scene.until(is_gone)
        assert not await scene.surely(lambda: coordinator.keep_alive(session))
        assert await scene.surely(lambda: coordinator.write({}, [Put("x", b"", session)])) is None

    scene.run(scenario)


def test_a_restarted_cluster_is_the_same(three: EtcdCluster) -> None:
    """All members killed and started again: what was acknowledged is there, hints come again."""
    scene = Scene(three.url(), "ab")

    async def scenario() -> None:
        coordinator = scene.reached("a")
        heard: list[str] = []
        coordinator.watch("", lambda: heard.append("a"))
        revision = await coordinator.write({}, [Put("ranges/1", b"1"), Put("k", b"2")])
        assert revision is not None
        three.kill()
        with pytest.raises(Unreachable):
            await coordinator.read("")
        three.start()
        _revision, entries = await scene.surely(lambda: coordinator.read(""))
        assert entries == {"k": Entry(b"2", revision), "ranges/1": Entry(b"1", revision)}
        heard.clear()
        await scene.surely(lambda: scene.reached("b").write({}, [Put("k", b"3")]))

        async def is_heard() -> bool:
            return bool(heard)

        await scene.until(is_heard)

    scene.run(scenario)


def test_what_was_compacted_meanwhile_is_hinted_at(three: EtcdCluster) -> None:
    """A watch that comes back after its place was compacted tells everybody to look."""
    scene = Scene(three.url(), "ab")

    async def scenario() -> None:
        coordinator, writer = scene.reached("a"), scene.reached("b")
        heard: list[str] = []
        coordinator.watch("k", lambda: heard.append("k"))
        await writer.write({}, [Put("k", b"1")])

        async def is_heard() -> bool:
            return bool(heard)

        await scene.until(is_heard)
        # Whichever member it listens to is gone while the key changes and is forgotten.
        for member in three.members:
            member.daemon.kill()
            heard.clear()
            for number in range(5):
                await scene.surely(partial(writer.write, {}, [Put("k", bytes([number]))]))
            revision, _entries = await scene.surely(lambda: writer.read(""))
            compact(three.leader(), revision)
            await scene.until(is_heard)
            member.daemon.start()
            member.daemon.await_ready()
        heard.clear()
        await scene.surely(lambda: writer.write({}, [Put("k", b"last")]))
        await scene.until(is_heard)

    scene.run(scenario)


def test_compaction_does_not_disturb_readings(three: EtcdCluster) -> None:
    """What a process knows of ranges stays right, whatever history etcd has forgotten."""
    scene = Scene(three.url(), "ab")

    async def scenario() -> None:
        reader, writer = scene.reached("a"), scene.reached("b")
        for number in range(10):
            await writer.write({}, [Put(f"ranges/{number}", b"1")])
        await reader.read("")
        await writer.write({}, [Put("ranges/3", b"2")], ("ranges/4",))
        revision, _entries = await writer.read("k")
        compact(three.leader(), revision)
        _revision, entries = await reader.read("")
        assert entries == (await writer.read("ranges/"))[1]
        assert "ranges/4" not in entries

    scene.run(scenario)
