"""What a transaction of a cluster can do: the same as one of an embedded database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fastness import (
    AsyncTransaction,
    pack,
    transactional,
)
from fastness.client.cluster import ClusterClient
from fastness.encoding.counters import decode
from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import (
    Conflict,
    DatabaseClosed,
    InvalidKey,
    InvalidTimestamp,
    LimitExceeded,
    TransactionClosed,
    UsageError,
)
from fastness.transactions import TransactionState
from tests.client.cluster.clusters import Scene, play
from tests.client.cluster.stages import Play, Stage


def test_single_operations(stage: Play) -> None:
    """Each is a transaction of its own, in whichever range its key lies."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:
            first = await db.set(b"a", b"1")
            second = await db.set(b"z", b"2")
            assert first < second
            assert await db.get(b"a") == b"1"
            assert await db.get(b"nothing") is None
            assert await db.get_many([b"z", b"a", b"x", b"z"]) == [b"2", b"1", None, b"2"]
            assert await db.get_many([b"a"]) == [b"1"]
            assert await db.get_many([]) == []
            await db.add(b"n", 3)
            await db.add(b"n", 4)
            value = await db.get(b"n")
            assert value is not None
            assert decode(value) == 7
            assert await db.delete(b"a") > second
            assert await db.get(b"a") is None
            await db.delete_range(b"", b"\xff")
            assert len(await db.scan(b"", b"\xff")) == 0

    stage(scenario)


def test_scans_cross_ranges(stage: Play) -> None:
    """Pages in both directions, continuations, own writes, over every border, at one moment."""
    keys = [b"%c%02d" % (letter, number) for letter in b"adgmtz" for number in range(4)]

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:

            async def fill(tx: AsyncTransaction) -> None:
                for key in keys:
                    tx.set(key, b"v" + key)

            await db.run(fill)
            assert [key async for key, _ in db.scan_all(b"", b"\xff")] == keys
            assert [key async for key, _ in db.scan_all(b"", b"\xff", reverse=True)] == keys[::-1]
            for reverse in (False, True):
                seen: list[bytes] = []
                token: bytes | None = None
                while True:
                    page = await db.scan(b"b", b"u", limit=3, reverse=reverse, continuation=token)
                    seen += [key for key, _ in page]
                    token = page.continuation
                    if token is None:
                        break
                expected = [key for key in keys if b"b" <= key < b"u"]
                assert seen == (expected[::-1] if reverse else expected)
            async with db.transaction() as tx:
                tx.set(b"d015", b"mine")
                tx.delete(b"g00")
                tx.delete_range(b"m", b"n")
                page = await tx.scan(b"d", b"u", limit=100)
                shown = [key for key in keys if b"d" <= key < b"u" and key[:1] != b"m"]
                shown.remove(b"g00")
                assert [key for key, _ in page] == sorted([*shown, b"d015"])
                assert [one async for one in tx.scan_all(b"d015", b"d016")] == [(b"d015", b"mine")]
                assert await tx.get_many([b"g00", b"m00", b"d015"]) == [None, None, b"mine"]

    stage(scenario)


def test_a_transaction_sees_its_own_writes(stage: Play) -> None:
    """Values, deletions and atomic operations on stored values, before they are committed."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:
            await db.set(b"a", b"1")
            await db.add(b"n", 5)
            async with db.transaction() as tx:
                tx.set(b"a", b"2")
                tx.add(b"n", 2)
                tx.append(b"z", b"tail")
                assert await tx.get(b"a") == b"2"
                number = await tx.get(b"n")
                assert number is not None
                assert decode(number) == 7
                assert await tx.get(b"z") == b"tail"
                tx.delete(b"a")
                assert await tx.get(b"a") is None
                assert tx.usage().keys_used > 0
            assert tx.commit_timestamp is not None
            assert await db.get(b"a") is None

    stage(scenario)


def test_atomic_operations_over_ranges(stage: Play) -> None:
    """Every kind, in one range and in several, evaluated by the leaseholders."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:

            async def operate(tx: AsyncTransaction) -> None:
                for prefix in (b"a", b"n", b"z"):
                    tx.add(prefix + b"add", -2)
                    tx.min(prefix + b"min", 4)
                    tx.max(prefix + b"max", 9)
                    tx.append(prefix + b"append", b"xy")
                    tx.compare_and_clear(prefix + b"clear", b"1")

            for prefix in (b"a", b"n", b"z"):
                await db.set(prefix + b"clear", b"1")
            await db.run(operate)
            await db.run(operate)
            for prefix in (b"a", b"n", b"z"):
                found = await db.get_many([prefix + one for one in (b"add", b"min", b"max")])
                assert [decode(value or b"") for value in found] == [-4, 4, 9]
                assert await db.get(prefix + b"append") == b"xyxy"
                assert await db.get(prefix + b"clear") is None

    stage(scenario)


def test_versionstamps(stage: Play) -> None:
    """Stamped keys and values of several ranges hold the stamp of the one commit."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:
            stamps: list[int] = []
            async with db.transaction() as tx:
                tx.set_versionstamped_key(b"a/", b"one", b"/x")
                tx.set_versionstamped_value(b"z", b"<", b">")
                tx.on_commit(stamps.append)
            stamp = tx.versionstamp()
            assert stamps == [tx.commit_timestamp]
            assert (await db.scan(b"a/", b"a0")).entries == [(b"a/" + stamp + b"/x", b"one")]
            assert await db.get(b"z") == b"<" + stamp + b">"

    stage(scenario)


def test_a_journal_goes_on_when_its_range_is_split(stage: Play) -> None:
    """Entries go to the range of the newest ones: alone, with others, and more than once."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:

            async def add(*more: bytes) -> bytes:
                async with db.transaction() as tx:
                    tx.set_versionstamped_key(b"j/", b"e")
                    for key in more:
                        tx.set(key, b"1")
                return tx.versionstamp()

            stamps = [await add() for _ in range(4)]
            await scene.split(b"j/" + stamps[1])
            stamps += [await add(), await add(b"a"), await add(b"a", b"z")]
            await scene.split(b"j/" + stamps[5])
            stamps += [await add(b"a"), await add()]
            assert stamps == sorted(stamps)
            found = (await db.scan(b"j/", b"j0")).entries
            assert [key for key, _ in found] == [b"j/" + stamp for stamp in stamps]

    stage(scenario)


@pytest.mark.parametrize("together", [False, True])
def test_a_journal_goes_on_beside_a_border_that_is_no_entry(stage: Play, together: bool) -> None:
    """A border of some other key reads as a stamp to come: until then, entries are below it."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db, scene.client() as other:

            async def append(tx: AsyncTransaction) -> AsyncTransaction:
                tx.set_versionstamped_key(b"j/", b"e")
                if together:
                    tx.set(b"a", b"1")
                return tx

            async def add(client: ClusterClient) -> bytes:
                return (await client.run(append)).versionstamp()

            stamps = [await add(db)]
            await scene.split(b"j/meta")
            now = int.from_bytes(stamps[0][:8], "big")
            soon = now + from_milliseconds(100)
            await scene.split(b"j/" + soon.to_bytes(8, "big"))
            while stamps[-1][:8] < soon.to_bytes(8, "big"):
                stamps.append(await add(db))
            # One who has heard nothing for long, and one who knows.
            stamps += [await add(other), await add(db)]
            assert stamps == sorted(stamps)
            assert len(stamps) > 5
            found = (await db.scan(b"j/", b"j0")).entries
            assert [key for key, _ in found] == [b"j/" + stamp for stamp in stamps]

    stage(scenario)


def test_time_travel(stage: Play) -> None:
    """The past is read at a timestamp or a moment; the future, and what is no time, is refused."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:
            await db.set(b"a", b"old")
            await db.set(b"z", b"old")
            then = await db.now()
            await db.set(b"z", b"new")
            async with db.transaction(at=then) as tx:
                assert await tx.get_many([b"a", b"z"]) == [b"old", b"old"]
                assert tx.read_timestamp == then
                with pytest.raises(UsageError):
                    tx.set(b"a", b"1")
            now = await db.now()
            with pytest.raises(InvalidTimestamp, match="never issued"):
                await db.transaction(at=now + from_milliseconds(3_600_000)).get(b"a")
            with pytest.raises(InvalidTimestamp):
                db.transaction(at=-1)
            with pytest.raises(InvalidTimestamp, match="future"):
                db.transaction(at=datetime(2999, 1, 1, tzinfo=UTC))
            moment = datetime(2001, 1, 1, tzinfo=UTC)
            assert await db.transaction(at=moment).get(b"a") is None

    stage(scenario)


def test_expiry_is_judged_by_a_timestamp() -> None:
    """Latest, snapshot and cached reads agree on a value that has expired, or has not."""

    async def scenario(scene: Scene) -> None:
        async with scene.client(cache=True) as db:
            soon = await db.now() + from_milliseconds(400)
            await db.set(b"a", b"brief", expires_at=soon)
            await db.set(b"z", b"long", expires_at=soon + from_milliseconds(3_600_000))
            for cache in (False, True, True):
                assert await db.get(b"a", cache=cache) == b"brief"
                assert await db.get_many([b"a", b"z"], cache=cache) == [b"brief", b"long"]
            late = db.transaction(cache=True)
            assert await late.get(b"a") == b"brief"
            late.set(b"b", b"too late")
            await scene.world.sleep(600)
            with pytest.raises(Conflict):
                await late.commit()
            for cache in (False, True, True):
                assert await db.get(b"a", cache=cache) is None
                assert await db.get_many([b"a", b"z"], cache=cache) == [None, b"long"]
                page = await db.scan(b"", b"\xff", cache=cache)
                assert page.entries == [(b"z", b"long")]

    play(scenario)


def test_explicit_conflicts(stage: Play) -> None:
    """Declared reads and writes conflict without any value; snapshot reads do not."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:
            reader = db.transaction()
            assert await reader.get(b"z") is None
            reader.add_read_conflict_key(b"a")
            reader.add_read_conflict_range(b"n", b"o")
            reader.set(b"y", b"1")
            async with db.transaction() as writer:
                writer.add_write_conflict_key(b"a")
            with pytest.raises(Conflict):
                await reader.commit()
            assert reader.state is TransactionState.FAILED
            careless = db.transaction()
            assert await careless.get(b"z", snapshot=True) is None
            careless.set(b"y", b"2")
            async with db.transaction() as writer:
                writer.add_write_conflict_range(b"y5", b"z\xff")
            await careless.commit()
            assert await db.get(b"y") == b"2"

    stage(scenario)


def test_write_skew_over_ranges_is_refused(stage: Play) -> None:
    """Two transactions that each read what the other writes cannot both commit."""

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:
            one, other = db.transaction(), db.transaction()
            assert await one.get(b"a") is None
            assert await other.get(b"z") is None
            one.set(b"z", b"1")
            other.set(b"a", b"1")
            await one.commit()
            with pytest.raises(Conflict):
                await other.commit()

    stage(scenario)


def test_transactional_functions(stage: Play) -> None:
    """`@transactional` begins with a client, and joins with a transaction of it."""

    @transactional
    async def deposit(tx: AsyncTransaction, key: bytes, amount: int) -> int:
        balance = int(await tx.get(key) or b"0") + amount
        tx.set(key, b"%d" % balance)
        return balance

    @transactional
    async def move(tx: AsyncTransaction, source: bytes, target: bytes) -> None:
        await deposit(tx, source, -1)
        await deposit(tx, target, 1)

    async def scenario(scene: Stage) -> None:
        async with scene.client() as db:
            assert await deposit(db, b"a", 5) == 5
            await move(db, b"a", b"z")
            assert await db.get_many([b"a", b"z"]) == [b"4", b"1"]

    stage(scenario)


def test_misuse_is_refused_before_anything_is_sent(stage: Play) -> None:
    """Wrong keys, ended transactions, too much at once, and a closed client."""

    async def scenario(scene: Stage) -> None:
        db = scene.client()
        with pytest.raises(InvalidKey):
            await db.get("a")  # type: ignore[arg-type]  # what a user may do
        with pytest.raises(InvalidKey):
            await db.get(b"\xff\x01")
        with pytest.raises(LimitExceeded):
            await db.get(b"k" * 9_000)
        tx = db.transaction()
        tx.cancel()
        with pytest.raises(TransactionClosed):
            await tx.get(b"a")
        with pytest.raises(TransactionClosed):
            await tx.commit()
        await db.set(pack(("a", 1)), b"1")
        await db.close()
        await db.close()
        with pytest.raises(DatabaseClosed):
            await db.get(b"a")
        with pytest.raises(DatabaseClosed):
            await db.set(b"a", b"1")

    stage(scenario)
