"""Clocks that jump and disks that fill up, without a cluster."""

from __future__ import annotations

import errno
import select
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from fastness.laptop.plan import Size
from fastness.testing.chaos import clocks, disks
from fastness.testing.chaos.clocks import Clocks
from fastness.testing.chaos.disks import LEFT_BYTES, Disks
from fastness.testing.chaos.faults import FAULTS
from fastness.testing.chaos.site import MISSING, Site

TELL = """
import time
for _ in iter(input, "end"):
    print(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), flush=True)
"""
JUMP_S = 5_000


@pytest.mark.process
@pytest.mark.skipif(bool(clocks.missing()), reason=clocks.missing() or "it can be")
def test_a_wall_clock_jumps_and_others_do_not(tmp_path: Path) -> None:
    """The wall clock moves away from the boot clock by what it was told, and back."""
    library = clocks.library()
    assert library is not None
    told = Clocks(tmp_path / "clocks", library)
    command = [*told.prefix_of("node-1"), sys.executable, "-c", TELL]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as teller:
        assert teller.stdin is not None
        assert teller.stdout is not None

        def ahead_s() -> float:
            assert teller.stdin is not None
            assert teller.stdout is not None
            teller.stdin.write("tell\n")
            return float(teller.stdout.readline())

        begun = ahead_s()
        told.jump("node-1", JUMP_S)
        while abs(ahead_s() - begun - JUMP_S) > 1:
            select.select([], [], [], 0.05)
        told.jump("node-1", 0)
        while abs(ahead_s() - begun) > 1:
            select.select([], [], [], 0.05)
        teller.stdin.write("end\n")
    told.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(bool(disks.missing()), reason=disks.missing() or "it can be")
def test_a_disk_fills_up_and_is_freed(tmp_path: Path) -> None:
    """No more than a little goes on it; freed it takes more; in the end it is gone."""
    folder = tmp_path / "store-1-a"
    with Disks("store-1", [folder], size_mb=4) as small:
        small.fill("store-1-a")
        with pytest.raises(OSError, match="No space") as caught:
            (folder / "much").write_bytes(b"x" * 2 * LEFT_BYTES)
        assert caught.value.errno == errno.ENOSPC
        small.free("store-1-a")
        small.free("store-1-a")
        (folder / "much").write_bytes(b"x" * 2 * LEFT_BYTES)
    assert list(folder.iterdir()) == []


def test_what_cannot_be_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults that need what is missing are skipped, by name; the others strike."""
    for need in MISSING:
        monkeypatch.setitem(MISSING, need, lambda: "it is not here")
    with ExitStack() as stack:
        size = Size(nodes=1, stores=1, standbys=1)
        wanted = ["kill-node", "jump-clock", "fill-disk", "cut-node-etcd"]
        site = Site.prepared(tmp_path / "cluster", wanted, size, stack)
        assert site.kinds == ["kill-node"]
        assert site.skipped == dict.fromkeys(wanted[1:], "it is not here")
        assert site.prefix_of("node-1") == ()
    assert set(site.skipped) < set(FAULTS)
