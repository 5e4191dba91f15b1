"""What may become of a batch at real servers, and that nobody is told otherwise.

CONSISTENCY.md, section 5, rule 6, and `models/postgres_batches.py`: a wait for the standby that is
cancelled, a primary back from a crash, one that was demoted and answers reads, a late original, an
epoch opened while a batch waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from fastness.errors import FastnessError, Fenced, StoreUnavailable, Unreachable
from fastness.hosting.postgres.connecting import UncancelledConnection
from fastness.hosting.remote import StoreAnswer, StoreRead
from fastness.laptop.postgres import Postgres
from fastness.limits import Limits
from fastness.storage.contract import RangeState
from tests.hosting.postgres.reached import OnPostgres
from tests.hosting.remote_conformance import RANGE, batch, values
from tests.servers.postgres import Pair, execute, new_database, postgres_pair, query
from tests.servers.relay import Relay

pytestmark = pytest.mark.process

WAITING_FOR_STANDBY = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
WAITING_FOR_LOCK = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
VISIBLE = "SELECT count(*) FROM fastness.newest WHERE key = $1"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A primary that waits for its standby."""
    with postgres_pair(tmp_path) as pair:
        yield pair
        pair.standby.daemon.resume()


class OnPair(OnPostgres):
    """A store on a primary with a standby."""

    def __init__(self, pair: Pair, *, allow_unreplicated: bool = True) -> None:
        # Once the standby was promoted it waits for nobody: there is no third server.
        super().__init__(
            pair.dsn(),
            allow_unreplicated=allow_unreplicated,
            # One writer: once it has written it is connected.
            limits=Limits(store_wait_ms=500, store_writers=1),
        )

    def begin(self, request: Callable[..., None], *args: object) -> asyncio.Future[Any]:
        """Ask the store; the answer comes later."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        request(*args, answered.set_result)
        return answered

    async def refusal(self, alive: Postgres, *, is_one: bool) -> FastnessError | None:
        """Why writes are refused, once they are, or no more; `alive` is asked meanwhile."""
        while (self.store.refusal is not None) is not is_one:
            await asyncio.to_thread(query, alive.dsn(), "SELECT 1")
        return self.store.refusal

    async def settled(self, epoch: int, number: int) -> bool | Fenced:
        """Ask what became of a batch until somebody knows, as a node does."""
        while True:
            answer = await self.ask(self.store.settle, RANGE, epoch, number)
            if isinstance(answer, bool | Fenced):
                return answer
            assert isinstance(answer, Unreachable)

    async def read_at_last(self, *keys: bytes) -> StoreAnswer:
        """Read until a primary answers."""
        while True:
            answer = await self.ask(self.store.read, StoreRead(RANGE, list(keys), 1 << 40))
            if isinstance(answer, StoreAnswer):
                return answer
            assert isinstance(answer, Unreachable)


async def seen(server: Postgres, statement: str, *args: object) -> list[Any]:
    """The rows of a statement, asked again until there are some."""
    rows: list[Any] = []
    while not rows:
        rows = await asyncio.to_thread(query, server.dsn(), statement, *args)
    return rows


async def visible(server: Postgres, key: bytes) -> bool:
    """Whether a key is there for whoever looks."""
    rows = await asyncio.to_thread(query, server.dsn(), VISIBLE, key)
    return bool(rows[0][0])


def test_a_cancelled_wait_for_the_standby_is_no_success(pair: Pair) -> None:
    """The commit is visible on the primary alone: in doubt, until a barrier carries it over."""
    reached = OnPair(pair)

    async def scenario() -> None:
        await reached.opened(1)
        pair.standby.daemon.pause()
        applied = reached.begin(reached.store.apply, batch(1, 1, a="1"))
        (row,) = await seen(pair.primary, WAITING_FOR_STANDBY)
        await seen(pair.primary, "SELECT 1 WHERE pg_cancel_backend($1)", row["pid"])
        assert isinstance(await applied, Unreachable)
        assert await visible(pair.primary, b"a")
        assert isinstance(
            await reached.ask(reached.store.read, StoreRead(RANGE, [b"a"], 1 << 40)), Unreachable
        )
        pair.standby.daemon.resume()
        assert await reached.settled(1, 1) is True
        answer = await reached.read_at_last(b"a")
        assert (values(answer), answer.number) == ([b"1"], 1)

    reached.run(scenario)


def test_a_cancelled_commit_that_is_lost_was_never_acknowledged(pair: Pair) -> None:
    """The primary is lost before the standby has it: it never was, and its number is used up."""
    reached = OnPair(pair)

    async def scenario() -> None:
        await reached.opened(1)
        assert await reached.ask(reached.store.apply, batch(1, 1, a="1")) is None
        pair.standby.daemon.pause()
        applied = reached.begin(reached.store.apply, batch(1, 2, a="2", b="2"))
        (row,) = await seen(pair.primary, WAITING_FOR_STANDBY)
        # The walsender may have sent it: then it is in the socket of the paused standby, and comes.
        await seen(pair.primary, "SELECT 1 WHERE pg_cancel_backend($1)", row["pid"])
        assert isinstance(await applied, Unreachable)
        pair.primary.daemon.kill()
        pair.standby.daemon.resume()
        await asyncio.to_thread(pair.promote)
        outcome = await reached.settled(1, 2)
        answer = await reached.read_at_last(b"a", b"b")
        expected = [b"2", b"2"] if outcome else [b"1", None]
        assert (values(answer), answer.number) == (expected, 2)
        late = await reached.ask(reached.store.apply, batch(1, 2, c="late"))
        assert isinstance(late, FastnessError)
        assert await reached.ask(reached.store.apply, batch(1, 3, c="3")) is None

    reached.run(scenario)


def test_a_primary_back_from_a_crash_is_not_believed_before_its_barrier(pair: Pair) -> None:
    """It shows a commit its standby never had; no read of ours does until the standby has it."""
    reached = OnPair(pair)

    async def scenario() -> None:
        await reached.opened(1)
        pair.standby.daemon.pause()
        applied = reached.begin(reached.store.apply, batch(1, 1, a="1"))
        await seen(pair.primary, WAITING_FOR_STANDBY)
        assert not await visible(pair.primary, b"a")
        pair.primary.daemon.kill()
        assert isinstance(await applied, Unreachable)
        await asyncio.to_thread(pair.primary.daemon.start)
        await asyncio.to_thread(pair.primary.daemon.await_ready)
        assert await visible(pair.primary, b"a")
        await seen(pair.primary, WAITING_FOR_STANDBY)
        read = await reached.ask(reached.store.read, StoreRead(RANGE, [b"a"], 1 << 40))
        assert isinstance(read, Unreachable)
        pair.standby.daemon.resume()
        assert await reached.settled(1, 1) is True
        assert values(await reached.read_at_last(b"a")) == [b"1"]

    reached.run(scenario)


def test_a_demoted_primary_is_left_once_it_is_noticed(pair: Pair) -> None:
    """It answers reads with what it had, until a write finds out; then nobody believes it."""
    reached = OnPair(pair)

    async def scenario() -> None:
        await reached.opened(1)
        assert await reached.ask(reached.store.apply, batch(1, 1, a="1")) is None
        await asyncio.to_thread(pair.promote)
        other = await reached.another(reached.network, "other")
        try:
            assert isinstance(await reached.ask(other.open_range, RANGE, 2), RangeState)
            assert await reached.ask(other.apply, batch(2, 2, a="2")) is None
            old = await reached.read_at_last(b"a")
            assert (values(old), old.number) == ([b"1"], 1)
            late = await reached.ask(reached.store.apply, batch(1, 2, a="late"))
            assert isinstance(late, Unreachable)
            assert isinstance(await reached.settled(1, 2), Fenced)
            new = await reached.read_at_last(b"a")
            assert (values(new), new.number) == ([b"2"], 2)
        finally:
            await other.close()

    reached.run(scenario)


def test_an_answer_from_before_what_is_known_drops_its_connection(dsn: str) -> None:
    """The next read goes over a new one, after a barrier."""
    reached = OnPostgres(dsn)

    async def scenario() -> None:
        await reached.opened(1)
        assert await reached.ask(reached.store.apply, batch(1, 1, a="1")) is None
        drops = reached.postgres.drops
        back = "UPDATE fastness.ranges SET number = 0 WHERE range_id = $1"
        await asyncio.to_thread(query, dsn, back, RANGE)
        assert await reached.number() == 0
        assert reached.postgres.drops == drops + 1
        assert await reached.number() == 0

    reached.run(scenario)


@pytest.mark.parametrize("asked_before", [True, False])
def test_a_late_original_is_refused(postgres: Postgres, *, asked_before: bool) -> None:
    """A batch in doubt that arrives after the question for it does nothing; before, it counts."""
    # One writer: the batch goes over a connection that is there.
    reached = OnPostgres(new_database(postgres), limits=Limits(store_writers=1))

    async def scenario() -> None:
        await reached.opened(1)
        async with Relay(postgres.port) as relay:
            reached.dsn = reached.dsn.replace(f":{postgres.port}/", f":{relay.port}/")
            store = await reached.another(reached.network, "relayed")
            try:
                assert await reached.ask(store.apply, batch(1, 1, a="1")) is None
                relay.hold()
                answered = asyncio.get_running_loop().create_future()
                store.apply(batch(1, 2, a="late"), answered.set_result)
                await relay.kept.wait()
                cut = relay.cut()
                assert isinstance(await answered, Unreachable)
                if asked_before:
                    assert await reached.ask(store.settle, RANGE, 1, 2) is False
                for conversation in cut:
                    await conversation.deliver()
                if not asked_before:
                    assert await reached.ask(store.settle, RANGE, 1, 2) is True
                assert await reached.ask(store.apply, batch(1, 3, b="3")) is None
            finally:
                await store.close()
        answer = await reached.ask(reached.store.read, StoreRead(RANGE, [b"a", b"b"], 1 << 40))
        expected = [b"1" if asked_before else b"late", b"3"]
        assert (values(answer), answer.number) == (expected, 3)

    reached.run(scenario)


def test_an_epoch_is_opened_after_a_batch_that_waits(pair: Pair) -> None:
    """The opening waits for the batch that holds the range's row, and finds what it wrote."""
    reached = OnPair(pair)

    async def scenario() -> None:
        await reached.opened(1)
        other = await reached.another(reached.network, "other")
        try:
            pair.standby.daemon.pause()
            applied = reached.begin(reached.store.apply, batch(1, 1, a="1"))
            await seen(pair.primary, WAITING_FOR_STANDBY)
            opening = reached.begin(other.open_range, RANGE, 2)
            await seen(pair.primary, WAITING_FOR_LOCK)
            assert not applied.done()
            assert not opening.done()
            pair.standby.daemon.resume()
            assert await applied is None
            state = await opening
            assert (state.batch_number, state.applied) == (1, 1_001)
            late = await reached.ask(reached.store.apply, batch(1, 2, a="late"))
            assert isinstance(late, Fenced)
        finally:
            await other.close()

    reached.run(scenario)


def test_a_primary_that_waits_for_nobody_any_more_is_left(pair: Pair) -> None:
    """As Patroni makes one without strict mode: writes are refused until it waits again."""
    reached = OnPair(pair, allow_unreplicated=False)

    async def scenario() -> None:
        store = reached.postgres
        await reached.opened(1)
        before = "ALTER SYSTEM SET synchronous_standby_names = 'standby'"
        for statement in ("ALTER SYSTEM SET synchronous_standby_names = ''", before):
            await asyncio.to_thread(
                execute, pair.primary.dsn(), statement, "SELECT pg_reload_conf()"
            )
            refusal = await reached.refusal(pair.primary, is_one=statement != before)
            if refusal is not None:
                assert isinstance(refusal, StoreUnavailable)
                assert "synchronous_standby_names" in str(refusal)
                refused = await reached.ask(store.apply, batch(1, 1, a="1"))
                assert isinstance(refused, Unreachable)
        assert await reached.settled(1, 1) is False
        assert await reached.ask(store.apply, batch(1, 2, a="2")) is None

    reached.run(scenario)


def test_a_paused_primary_is_told_apart_from_one_that_was_replaced(pair: Pair) -> None:
    """Nothing is given up while nobody else is primary; once somebody is, all goes there."""
    reached = OnPair(pair)

    async def scenario() -> None:
        store = reached.postgres
        await reached.opened(1)
        assert await reached.ask(store.apply, batch(1, 1, a="1")) is None
        drops = store.drops
        pair.primary.daemon.pause()
        applied = reached.begin(store.apply, batch(1, 2, a="2"))
        assert isinstance(await reached.refusal(pair.standby, is_one=True), Unreachable)
        assert not applied.done()
        pair.primary.daemon.resume()
        assert await applied is None
        await reached.refusal(pair.standby, is_one=False)
        assert store.drops == drops
        pair.primary.daemon.pause()
        try:
            await asyncio.to_thread(pair.promote)
            applied = reached.begin(store.apply, batch(1, 3, a="3"))
            assert isinstance(await applied, Unreachable)
            assert await reached.settled(1, 3) is False
            assert await reached.ask(store.apply, batch(1, 4, a="4")) is None
            assert values(await reached.read_at_last(b"a")) == [b"4"]
        finally:
            pair.primary.daemon.resume()

    reached.run(scenario)


def test_a_node_that_ends_cancels_no_commit(pair: Pair) -> None:
    """Its connection is cut; the server goes on waiting for the standby with what it was told."""
    reached = OnPair(pair)

    async def scenario() -> None:
        await reached.opened(1)
        pair.standby.daemon.pause()
        applied = reached.begin(reached.store.apply, batch(1, 1, a="1"))
        (before,) = await seen(pair.primary, WAITING_FOR_STANDBY)
        await reached.network.close()
        assert isinstance(await applied, FastnessError)
        (after,) = await seen(pair.primary, WAITING_FOR_STANDBY)
        assert before == after
        assert not await visible(pair.primary, b"a")
        pair.standby.daemon.resume()
        await seen(pair.primary, "SELECT key FROM fastness.newest WHERE key = 'a'")

    reached.run(scenario)


@pytest.mark.parametrize("cautious", [True, False])
def test_the_library_alone_would_cancel_it(pair: Pair, *, cautious: bool) -> None:
    """Why connections are of a class of ours: a cancelled task cancels the wait, without it."""
    kind = UncancelledConnection if cautious else asyncpg.Connection

    async def main() -> None:
        connection = await asyncpg.connect(pair.primary.dsn(), connection_class=kind)
        try:
            await connection.execute("CREATE TABLE written (n int)")
            pair.standby.daemon.pause()
            writing = asyncio.create_task(connection.execute("INSERT INTO written VALUES (1)"))
            await seen(pair.primary, WAITING_FOR_STANDBY)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            if cautious:
                await seen(pair.primary, WAITING_FOR_STANDBY)
                rows = await asyncio.to_thread(query, pair.primary.dsn(), "SELECT n FROM written")
                assert rows == []
            else:
                await seen(pair.primary, "SELECT n FROM written")
        finally:
            pair.standby.daemon.resume()
            connection.terminate()

    asyncio.run(main())
