"""Writing upon what was read at a timestamp of the past, and what wrote a value."""

from __future__ import annotations

import pytest

from fastness.errors import Conflict, InvalidTimestamp
from tests.client.cluster.stages import Play, Stage


def test_what_has_not_changed_is_written_upon(stage: Play) -> None:
    """A commit upon an old snapshot passes while nothing of what it read was written since."""

    async def scenario(on: Stage) -> None:
        db = on.client()
        await db.set(b"a", b"1")
        seen = await db.now()
        await db.set(b"z", b"beside")
        async with db.transaction_since(seen) as tx:
            assert await tx.get(b"a") == b"1"
            assert await tx.get(b"z", snapshot=True) is None
            tx.set(b"a", b"2")
        assert await db.get(b"a") == b"2"

    stage(scenario)


@pytest.mark.parametrize("how", ["read", "scanned", "declared", "interval declared"])
def test_what_has_changed_is_not(stage: Play, how: str) -> None:
    """It conflicts with whatever was written since, however it was named; nothing is done."""

    async def scenario(on: Stage) -> None:
        db = on.client()
        seen = await db.now()
        await db.set(b"m", b"1")
        tx = db.transaction_since(seen)
        if how == "read":
            assert await tx.get(b"m") is None
        elif how == "scanned":
            assert len(await tx.scan(b"a", b"z")) == 0
        elif how == "declared":
            tx.add_read_conflict_key(b"m")
        else:
            tx.add_read_conflict_range(b"a", b"z")
        tx.set(b"x", b"1")
        with pytest.raises(Conflict):
            await tx.commit()
        assert await db.get(b"x") is None

    stage(scenario)


def test_the_future_is_no_snapshot(stage: Play) -> None:
    """A timestamp that nobody was given is refused."""

    async def scenario(on: Stage) -> None:
        db = on.client()
        tx = db.transaction_since(await db.now() + (1 << 40))
        with pytest.raises(InvalidTimestamp):
            await tx.get(b"a")

    stage(scenario)


def test_a_version_is_the_commit_that_wrote_it(stage: Play) -> None:
    """Values come with the timestamp of their commit, and count as read."""

    async def scenario(on: Stage) -> None:
        db = on.client()
        first = await db.set(b"a", b"1")
        second = await db.set(b"z", b"2")
        await db.set(b"d", b"3")
        await db.delete(b"d")
        tx = db.transaction_since(await db.now())
        found = await tx.read_versions([b"z", b"d", b"a", b"z", b"none"])
        assert found == [(b"2", second), None, (b"1", first), (b"2", second), None]
        await db.set(b"none", b"4")
        tx.set(b"x", b"1")
        with pytest.raises(Conflict):
            await tx.commit()

    stage(scenario)
