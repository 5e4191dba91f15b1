"""The judgement on what stores hold: right ones pass, a planted loss is found."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

import fastness
from fastness import AsyncDatabase
from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import FastnessError
from fastness.testing.change_log import Changes
from fastness.testing.chaos.crowd import Crowd
from fastness.testing.chaos.judging import judge
from fastness.testing.chaos.probes import Probe
from fastness.testing.chaos.stores import MISSING, read_log
from fastness.testing.ledger import Ledger

ACTS = 150
CHANGES_MAX = 1 << 30


def acted(seed: int) -> tuple[Ledger, Crowd, list[tuple[int, Changes]]]:
    """A crowd's work on a database in this process, and the log of its store."""
    ledger = Ledger()
    crowd = Crowd("", ledger, seed=seed, clients=1, tasks=1, pace_s=0.0)

    async def work(database: AsyncDatabase) -> None:
        await crowd.set_up(database)
        probe = Probe(b"\x10probe", lambda: crowd.recorded(database))
        probe.stop()
        await probe.run()
        assert probe.serves_since(0.0)
        random = Random(seed)
        face = crowd.recorded(database)
        for _ in range(ACTS):
            try:
                await random.choice(crowd.workloads).act(face, random)
            except FastnessError as error:
                crowd.errors[error.code] += 1
        await crowd.conclude(database)

    async def run() -> list[tuple[int, Changes]]:
        async with await fastness.open_async("memory:") as database:
            begun = await database.now()
            await work(database)
            changes = database.embedded.store.changes(begun, TIMESTAMP_MAX, CHANGES_MAX)
            return [(one.timestamp, dict(one.writes)) for one in changes]

    return ledger, crowd, asyncio.run(run())


def test_a_right_store_passes_and_a_lost_commit_is_found() -> None:
    """An acknowledged write that is in no store is reported as lost, by the log's checker."""
    ledger, crowd, log = acted(1)
    reports, unsettled = judge(ledger, crowd.workloads, log)
    assert unsettled == 0
    assert [str(one) for one in reports if not one.ok] == []
    assert ledger.committed_writes > 20
    lost = next(one for one in reversed(ledger.attempts) if one.kind == "register" and one.writes)
    without = [(at, changes) for at, changes in log if at != lost.commit_timestamp]
    assert len(without) == len(log) - 1
    found = judge(ledger, crowd.workloads, without)[0][0]
    assert dict(found.counts) == {"lost-commit": 1}
    unread = judge(ledger, crowd.workloads, None)[0]
    assert [one.checker for one in unread] == [one.checker for one in reports[1:]]
    assert all(one.ok for one in unread)


def test_rows_of_a_store_become_its_log() -> None:
    """A key with its version, a removal, and a version that is not there."""
    log = "7|61|f\n7|62|t\n9|61|f"
    versions = f"7|61|{b'one'.hex()}"
    assert read_log(log, versions) == {7: {b"a": b"one", b"b": None}, 9: {b"a": MISSING}}
    with pytest.raises(ValueError, match="not enough values"):
        read_log("7|61", "")
