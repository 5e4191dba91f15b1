"""A server killed in the middle of commits: what it acknowledged is there, at once, and once."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fastness.encoding.timestamps import from_milliseconds
from fastness.limits import Limits
from fastness.storage import Step
from tests.node.crashing import TASKS
from tests.node.servers import Premises, serving
from tests.storage.homes import REPOSITORY, child_environment

pytestmark = pytest.mark.process

LEASE_MS = 3_600_000
"""Whoever waited for a predecessor's lease would outlast the test."""


class Acknowledged:
    """What a server told its clients before it died."""

    def __init__(self, lines: list[str]) -> None:
        self.own = dict.fromkeys(range(TASKS), 0)
        self.shared = 0
        self.stamps: list[int] = []
        """Commit timestamps, each of one commit."""
        self.highest = 0
        for line in lines:
            kind, *numbers = line.split()
            self.highest = max(self.highest, int(numbers[-1]))
            if kind == "own":
                task, value = int(numbers[0]), int(numbers[1])
                assert value == self.own[task] + 1
                self.own[task] = value
            if kind == "all":
                self.shared += 1
            if kind != "drawn":
                self.stamps.append(int(numbers[-1]))


def killed(data: Path, step: Step, occurrence: int) -> Acknowledged:
    """Let a server work in a directory until it is killed there."""
    command = [sys.executable, "-m", "tests.node.crashing", data, step.value, occurrence]
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=REPOSITORY,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    whole, _end, _partial = ended.stdout.rpartition("\n")
    return Acknowledged(whole.splitlines())


@pytest.mark.parametrize(
    ("step", "occurrence"),
    [
        (Step.APPLY_BEGIN, 40),
        (Step.APPLY_END, 41),
        (Step.SYNC_BEGIN, 40),
        (Step.SYNC_END, 43),
        (Step.RECORD_BEGIN, 8),
        (Step.RECORD_WRITTEN, 9),
    ],
)
def test_what_was_acknowledged_is_there(step: Step, occurrence: int, tmp_path: Path) -> None:
    """Twice in a row: every commit once, no timestamp twice, and the next server begins at once."""
    data = tmp_path / "data"
    first = killed(data, step, occurrence)

    async def scenario(premises: Premises) -> None:
        await premises.start()
        client = premises.client()
        for task, value in first.own.items():
            found = int(await client.get(b"own %d" % task) or b"0")
            # One may have been under way; it is there or not.
            assert value <= found <= value + 1
            await client.delete(b"own %d" % task)
        shared = int.from_bytes(await client.get(b"all") or b"", "little")
        assert first.shared <= shared <= first.shared + TASKS
        assert await client.now() > first.highest
        await client.delete(b"all")

    assert len(set(first.stamps)) == len(first.stamps)
    serving(scenario, data, replace(Limits(), lease_ms=LEASE_MS))
    second = killed(data, step, occurrence)
    assert not second.stamps or min(second.stamps) > first.highest
    # A slow machine may kill the first before it acknowledged anything.
    assert not first.stamps or second.highest < first.highest + from_milliseconds(LEASE_MS)
