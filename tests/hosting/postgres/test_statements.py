"""How many statements there are for how many batches, and that rewriting rows takes no space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fastness.errors import DiskFull, Fenced
from fastness.hosting.postgres.opening import TOGETHER_MAX
from fastness.hosting.remote import StoreAnswer, StoreRead
from fastness.limits import Limits
from fastness.storage.contract import Batch, RangeState
from tests.hosting.postgres.reached import OnPostgres
from tests.servers.postgres import execute, query
from tests.storage.homes import commit

pytestmark = pytest.mark.process

RANGES = 64


def counted(dsn: str) -> None:
    """Have the server count the calls of functions in a database."""
    execute(dsn, f"ALTER DATABASE {dsn.rpartition('/')[2]} SET track_functions = 'all'")


def calls(dsn: str, function: str) -> int:
    """How often it was called by connections that have ended."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    while query(dsn, others)[0][0]:
        pass
    found = query(
        dsn,
        "SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = $1",
        function,
    )
    return int(found[0][0])


async def together(request: Callable[..., None], *arguments: tuple[object, ...]) -> list[Any]:
    """Ask many things in one turn of the loop; the answers."""
    answers = [asyncio.get_running_loop().create_future() for _one in arguments]
    for one, answered in zip(arguments, answers, strict=True):
        request(*one, answered.set_result)
    return list(await asyncio.gather(*answers))


@pytest.mark.parametrize("ranges", [1, RANGES])
def test_batches_of_one_turn_share_a_statement(dsn: str, ranges: int) -> None:
    """As many statements for 64 ranges as for one; each range is refused by itself."""
    counted(dsn)
    reached = OnPostgres(dsn)

    async def scenario() -> None:
        store = reached.store
        states = await together(store.open_range, *((one, 1) for one in range(1, ranges + 1)))
        assert all(isinstance(state, RangeState) for state in states)
        batches = [
            Batch(one, 1 if one % 7 else 2, 1, [commit(one, **{f"k{one}": "x"})])
            for one in range(1, ranges + 1)
        ]
        answers = await together(store.apply, *((batch,) for batch in batches))
        for batch, answer in zip(batches, answers, strict=True):
            assert isinstance(answer, Fenced) if batch.epoch == 2 else answer is None
        keys = [f"k{batch.range_id}".encode() for batch in batches]
        requests = [
            (StoreRead(batch.range_id, [key], 99),)
            for batch, key in zip(batches, keys, strict=True)
        ]
        for batch, answer in zip(batches, await together(store.read, *requests), strict=True):
            assert isinstance(answer, StoreAnswer)
            there = batch.epoch == 1
            assert (answer.cells[0] is not None, answer.number) == (there, int(there))

    reached.run(scenario)
    assert calls(dsn, "apply") == 1
    assert calls(dsn, "write") + calls(dsn, "write_stage") <= 2


def test_ranges_of_one_turn_are_opened_together(dsn: str) -> None:
    """Some in a statement; each has its own records, and is refused by itself."""
    reached = OnPostgres(dsn)
    some = range(1, RANGES + 1)

    async def scenario() -> None:
        store = reached.store
        # Not in order: they are locked in order all the same.
        await together(store.open_range, *((one, 5) for one in reversed(some)))
        batches = [Batch(one, 5, 1, [], records={b"r": b"%d" % one}) for one in some]
        await together(store.apply, *((batch,) for batch in batches))
        again = [(one, 6 if one % 7 else 5) for one in some]
        states = await together(store.open_range, *again)
        for (one, epoch), state in zip(again, states, strict=True):
            if epoch == 5:
                assert isinstance(state, Fenced)
            else:
                assert (state.range_id, state.epoch, state.batch_number) == (one, 6, 1)
                assert state.records == {b"r": b"%d" % one}
        # One range twice: not in one statement, and in either order.
        _lower, higher, other = await together(store.open_range, (1, 7), (1, 8), (2, 7))
        assert (higher.epoch, other.epoch) == (8, 7)

    reached.run(scenario)
    written = query(dsn, "SELECT count(DISTINCT xmin::text) FROM fastness.ranges WHERE epoch = 6")
    assert written[0][0] <= -(-RANGES // TOGETHER_MAX)


def test_a_batch_that_cannot_be_written_takes_no_other_with_it(dsn: str) -> None:
    """PostgreSQL refuses the statement: each batch of it is tried by itself."""
    reached = OnPostgres(dsn)

    async def scenario() -> None:
        store = reached.store
        await together(store.open_range, (1, 1), (2, 1))
        # As a full disk would, for one key alone.
        await asyncio.to_thread(
            execute,
            dsn,
            "ALTER TABLE fastness.newest ADD CONSTRAINT refused CHECK (key <> 'bad')",
        )
        answers = await together(
            store.apply,
            (Batch(1, 1, 1, [commit(1, bad="x")]),),
            (Batch(2, 1, 1, [commit(1, good="x")]),),
        )
        assert "refused" in str(answers[0])
        assert answers[1] is None
        settled = await together(store.settle, (1, 1, 1), (2, 1, 1))
        assert settled == [False, True]

    reached.run(scenario)


def test_a_full_disk_leaves_reads_alone(dsn: str) -> None:
    """Batches fail with the reason and new ones are refused with it, until a write succeeds."""
    full = (
        """CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$""",
        """CREATE TRIGGER no_space BEFORE INSERT ON fastness.newest
        FOR EACH STATEMENT EXECUTE FUNCTION no_space()""",
        """CREATE TRIGGER no_space BEFORE UPDATE ON fastness.store
        FOR EACH STATEMENT EXECUTE FUNCTION no_space()""",
    )
    emptied = ("DROP FUNCTION no_space() CASCADE",)
    reached = OnPostgres(dsn)

    async def scenario() -> None:
        store = reached.postgres
        await reached.opened(1)
        assert await reached.ask(store.apply, Batch(7, 1, 1, [commit(1, a="1")])) is None
        drops = store.drops
        await asyncio.to_thread(execute, dsn, *full)
        answer = await reached.ask(store.apply, Batch(7, 1, 2, [commit(2, a="2")]))
        assert isinstance(answer, DiskFull)
        assert await reached.ask(store.settle, 7, 1, 2) is False
        for _look in range(3):
            assert (await reached.read(b"a")).number == 2
            assert isinstance(store.refusal, DiskFull)
        await asyncio.to_thread(execute, dsn, *emptied)
        while store.refusal is not None:
            await reached.read(b"a")
        assert await reached.ask(store.apply, Batch(7, 1, 3, [commit(3, a="3")])) is None
        assert store.drops == drops

    reached.run(scenario)


def test_a_full_queue_of_reads_is_refused(dsn: str) -> None:
    """Those beyond the limit hear it at once; the others are answered."""
    reached = OnPostgres(dsn, limits=Limits(reads_queued=5))

    async def scenario() -> None:
        answers = await together(
            reached.store.read, *((StoreRead(1, [b"a"], 1),) for _one in range(9))
        )
        answered = [isinstance(answer, StoreAnswer) for answer in answers]
        assert answered == [True] * 5 + [False] * 4

    reached.run(scenario)


def test_rewriting_takes_no_space(dsn: str) -> None:
    """A range's row and hot keys are rewritten in place, batch after batch, and history pruned."""
    reached = OnPostgres(dsn)
    rounds, keys = 40, [f"k{n}" for n in range(20)]

    async def scenario() -> None:
        await reached.opened(1)
        sizes = []
        for turn in range(rounds):
            for number in range(turn * 10 + 1, turn * 10 + 11):
                written = commit(number, **dict.fromkeys(keys, "x" * 50))
                assert (
                    await reached.ask(reached.store.apply, Batch(7, 1, number, [written])) is None
                )
            sizes.append(
                await asyncio.to_thread(
                    query,
                    dsn,
                    "SELECT pg_relation_size('fastness.ranges') / 8192,"
                    " pg_relation_size('fastness.newest') / 8192",
                )
            )
        (ranges, newest), (ranges_before, newest_before) = sizes[-1][0], sizes[rounds // 4][0]
        assert (ranges, newest) == (ranges_before, newest_before)
        assert ranges == 1

    reached.run(scenario)
