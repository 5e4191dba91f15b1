"""A server whose disk fails or fills up: reads go on, writes are refused with the reason."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fastness.errors import DiskFull, FastnessError, StoreError
from fastness.limits import Limits
from fastness.storage import RocksStore, Store
from fastness.storage.faults import Step
from tests.node.servers import Premises, serving

WRITING = {
    Step.APPLY_BEGIN,
    Step.APPLY_END,
    Step.SYNC_BEGIN,
    Step.SYNC_END,
    Step.RECORD_BEGIN,
    Step.PRUNE_BEGIN,
}

LIMITS = replace(Limits(), ceiling_ms=50, commit_ms=500, lease_ms=1_500)
"""Under which a ceiling that cannot be raised is soon in the way, and doubts soon end."""


class Disk:
    """A disk that takes nothing while `error` says so."""

    def __init__(self) -> None:
        self.error = 0

    def __call__(self, step: Step) -> None:
        """The store's hook."""
        if self.error and step in WRITING:
            raise OSError(self.error, os.strerror(self.error))


class WithDisk(Premises):
    """A server over a directory of such a disk."""

    def use(self, disk: Disk, path: Path) -> None:
        """Open the store there, every time."""
        self._path = path
        self._disk = disk

    def open_store(self) -> Store:
        """As a process finds it, or the same process again."""
        return RocksStore.open(self._path, limits=self.limits, faults=self._disk)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_reads_go_on_and_writes_hear_why(number: int, tmp_path: Path) -> None:
    """Also in transactions, whose timestamps need no write; once it is well, writes go on."""
    disk = Disk()

    async def scenario(premises: Premises) -> None:
        assert isinstance(premises, WithDisk)
        premises.use(disk, tmp_path / "data")
        server = await premises.start()
        client = premises.client()
        await client.set(b"a", b"1")
        disk.error = number
        with pytest.raises(FastnessError) as doubtful:
            await client.set(b"a", b"2")
        assert doubtful.value.maybe_committed
        for _ in range(5):
            with pytest.raises(StoreError, match=os.strerror(number)) as refused:
                await client.set(b"b", b"2")
            assert not refused.value.maybe_committed
            assert isinstance(refused.value, DiskFull) == (number == errno.ENOSPC)
            assert await client.get(b"b") is None
            async with client.transaction(read_only=True) as tx:
                assert await tx.get(b"c") is None
        assert server.write_refusal is not None
        disk.error = 0
        await premises.until(lambda: server.write_refusal is None)
        await client.set(b"c", b"3")
        assert await client.get(b"c") == b"3"
        assert await client.get(b"a") in (b"1", b"2")
        assert server.counts.alarms == 0

    serving(scenario, tmp_path / "data", LIMITS, WithDisk)


def test_a_server_on_a_full_disk_does_not_start(tmp_path: Path) -> None:
    """It says what is wrong, at once."""
    disk = Disk()

    async def scenario(premises: Premises) -> None:
        assert isinstance(premises, WithDisk)
        premises.use(disk, tmp_path / "data")
        await (await premises.start()).stop()
        disk.error = errno.ENOSPC
        with pytest.raises(DiskFull, match=os.strerror(errno.ENOSPC)):
            await premises.start()

    serving(scenario, tmp_path / "data", LIMITS, WithDisk)
