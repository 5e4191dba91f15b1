"""Processor time of rounds, and what is counted in a server's log."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.cluster_costs import (
    ETCD,
    IDLE,
    KINDS,
    NODE,
    ONE,
    PARTS,
    cost_of,
    draws_of,
    rows_of,
)
from benchmarks.cluster_ranges import borders, executed
from benchmarks.processor import CLIENT, Bill, billed, spent_ns, with_cpu
from benchmarks.samples import Round
from benchmarks.spells import tasks_for
from benchmarks.workload import key

NOBODY = 2**22 + 1
"""No system has such a process."""


def busy() -> Round:
    """A round that computes for a moment."""
    sum(range(3_000_000))
    return Round(3, 1_000, [])


def test_a_round_is_billed_to_every_part() -> None:
    """This process as client; a part whose process is gone took nothing."""
    bill = billed(busy, {"gone": [NOBODY]})
    assert bill.operations == 3
    assert bill.cpu_ns[CLIENT] > 0
    assert bill.cpu_ns["gone"] == 0
    twice = bill.and_also(bill)
    assert (twice.operations, twice.elapsed_ns) == (6, 2_000)
    assert twice.cpu_ns[CLIENT] == 2 * bill.cpu_ns[CLIENT]


def test_what_goes_on_anyway_is_not_billed() -> None:
    """Of a round as long as two idle ones, twice what these took is nobody's request."""
    idle = Bill(1, 1_000_000_000, dict.fromkeys(PARTS, 30_000))
    busier = Bill(5, 2_000_000_000, dict.fromkeys(PARTS, 60_000) | {NODE: 100_000})
    measured = dict.fromkeys(KINDS, (busier, 20)) | {IDLE: (idle, 5)}
    figures = {row.what: row.figure for row in rows_of(measured)}
    assert figures[cost_of(ONE, NODE)] == 8.0
    assert cost_of(ONE, ETCD) not in figures
    assert figures[draws_of(ONE)] == 2.0
    assert figures[cost_of(IDLE, ETCD)] == 30.0
    assert figures[draws_of(IDLE)] == 5.0


def test_what_nobody_tells_is_not_told() -> None:
    """Without one of the servers the round has no processor time rather than too little."""
    assert spent_ns([os.getpid(), NOBODY]) is None
    assert with_cpu(busy, [NOBODY]).cpu_ns is None
    assert with_cpu(busy, [os.getpid()]).cpu_ns is not None


def test_children_that_ended_count_on() -> None:
    """A backend that has gone did its work all the same."""
    before = spent_ns([os.getpid()])
    subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"], check=True)
    after = spent_ns([os.getpid()])
    assert before is not None
    assert after is not None
    assert after - before >= 100_000_000


def test_statements_of_one_database_are_counted(tmp_path: Path) -> None:
    """Executions in it: not its errors, not what others executed."""
    log = tmp_path / "log"
    log.write_bytes(
        b"ours|LOG:  execute s1: SELECT *\n\tFROM x\nours|ERROR:  execute\n"
        b"theirs|LOG:  execute s1: SELECT 1\nours|LOG:  execute s2: SELECT 2\n"
    )
    assert executed(log, b"ours|LOG:  execute ") == 2


def test_borders_divide_evenly() -> None:
    """One fewer than ranges, in the order of the keys."""
    assert borders(1, 100) == []
    assert borders(4, 100) == [key(25), key(50), key(75)]
    assert borders(4, 100) == sorted(borders(4, 100))


def test_a_rest_is_no_part_of_an_operation() -> None:
    """Tasks that rest do less, and what each took does not grow by it."""

    async def operation(_key: bytes) -> None:
        await asyncio.sleep(0)

    rested = asyncio.run(tasks_for(0.05, operation, [b"k"], 1, rest_s=0.02))
    assert len(rested.latencies_ns) == rested.operations <= 4
    assert sum(rested.latencies_ns) < rested.elapsed_ns
