"""Where a run takes place: what this machine can be made to do to a cluster, put in place.

A fault whose needs are not met here is left out, with the reason, and the others strike.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fastness.invariants import present
from fastness.laptop.folder import Folder
from fastness.laptop.plan import Size
from fastness.laptop.ports import HOST
from fastness.testing.chaos import clocks, disks, network
from fastness.testing.chaos.clocks import Clocks
from fastness.testing.chaos.disks import Disks
from fastness.testing.chaos.faults import FAULTS
from fastness.testing.chaos.faults.contract import Need
from fastness.testing.chaos.network import Network

MISSING = {Need.NETWORK: network.missing, Need.CLOCKS: clocks.missing, Need.DISK: disks.missing}


@dataclass(slots=True)
class Site:
    """What is in place, and which faults may strike."""

    kinds: Sequence[str]
    skipped: dict[str, str]
    """Why others may not, by name."""
    network: Network | None = None
    clocks: Clocks | None = None
    disks: Disks | None = None

    @classmethod
    def prepared(cls, folder: Path, kinds: Sequence[str], size: Size, stack: ExitStack) -> Self:
        """Put in place what the kinds need, and plan the cluster; `stack` takes it away again."""
        needs = {need for name in kinds if (need := FAULTS[name].needs) is not None}
        absent = {need: reason for need in needs if (reason := MISSING[need]())}
        skipped = {
            name: absent[need]
            for name in kinds
            if (need := FAULTS[name].needs) is not None and need in absent
        }
        site = cls([name for name in kinds if name not in skipped], skipped)
        there = needs - set(absent)
        if Need.NETWORK in there:
            site.network = stack.enter_context(Network())
        if Need.CLOCKS in there:
            library = present(clocks.library(), "nothing is missing, so the library is there")
            site.clocks = Clocks(folder.with_name(f"{folder.name}-clocks"), library)
            stack.callback(site.clocks.remove)
        store, servers = site._plan(folder, size)
        if Need.DISK in there:
            site.disks = stack.enter_context(Disks(store, servers))
        return site

    def _plan(self, folder: Path, size: Size) -> tuple[str, list[Path]]:
        """Write the plan down, and tell the last store and the folders of its servers.

        A folder with disks in it and no plan would not be taken for one of a cluster.
        """
        where = Folder(folder)
        where.lock()
        try:
            plan = where.plan(lambda _default: size, self.host_of)
        finally:
            where.unlock()
        sides = [seat.name for seat in plan.stores[-1]]
        return sides[0].rpartition("-")[0], [where.path / name for name in sides]

    def host_of(self, name: str) -> str:
        """Where a member listens."""
        return self.network.host_of(name) if self.network is not None else HOST

    def prefix_of(self, name: str) -> tuple[str, ...]:
        """What stands before its command."""
        words: tuple[str, ...] = ()
        if self.network is not None:
            words = self.network.prefix_of(name)
        if name.startswith("node-"):
            if self.network is not None:
                # It listens beyond its namespace, and no further than this machine.
                words += ("env", "FASTNESS_OPEN_TO_ANYONE=true")
            if self.clocks is not None:
                words += self.clocks.prefix_of(name)
        return words
