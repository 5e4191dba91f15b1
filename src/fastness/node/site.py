"""What all pieces of a node work with: its surroundings, its dealings with others, its tenure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from fastness.errors import FastnessError
from fastness.hosting.remote import RemoteStore
from fastness.limits import Limits
from fastness.node.calls import Calls
from fastness.node.coordination import Coordination
from fastness.node.counts import Counts
from fastness.node.draws import Draws
from fastness.node.gate import Gate, OpenGate
from fastness.node.leases import Tenure
from fastness.node.post import Post
from fastness.node.waiting import settle
from fastness.placement.cluster_view import ClusterView
from fastness.placement.coordinator import Coordinator
from fastness.placement.descriptors import Descriptor
from fastness.placement.samples import StoreSample
from fastness.runtime.process import Address, Process


class Signal:
    """Wakes the one coroutine that waits for it; remembered while it does not wait."""

    __slots__ = ("_future", "_process", "_raised")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._raised = False
        self._future: asyncio.Future[None] | None = None

    def give(self) -> None:
        """Wake it, now or when it next waits."""
        self._raised = True
        if self._future is not None:
            settle(self._future, None)

    async def wait(self, milliseconds: float) -> None:
        """Until the signal, or for this long."""
        if not self._raised:
            future: asyncio.Future[None] = self._process.future()
            self._future = future
            timer = self._process.call_later(milliseconds, settle, future, None)
            try:
                await future
            finally:
                timer.cancel()
                self._future = None
        self._raised = False


def _always() -> bool:
    return True


def _nothing() -> None:
    return


class Site:
    """One per node. Everything runs on one thread, so plain attributes are enough."""

    __slots__ = (
        "calls",
        "changed",
        "coordination",
        "counts",
        "draining",
        "draws",
        "gate",
        "in_flight",
        "limits",
        "may_cache",
        "name",
        "post",
        "problems",
        "process",
        "resting",
        "rests_until_ns",
        "samples",
        "stores",
        "tasks",
        "tenure",
        "view",
        "wake",
    )

    def __init__(
        self,
        process: Process,
        coordinator: Coordinator,
        stores: Mapping[str, RemoteStore],
        limits: Limits,
        gate: Gate | None = None,
    ) -> None:
        self.process = process
        self.stores = stores
        self.limits = limits
        self.counts = Counts()
        self.gate: Gate = OpenGate() if gate is None else gate
        self.post = Post(process, self.gate)
        self.calls = Calls(self.post, self.counts, limits)
        self.coordination = Coordination(process, coordinator, limits, self.counts)
        self.view: ClusterView = self.coordination.view
        self.changed = Signal(process)
        """Something may be different at the coordinator: look."""
        self.draws = Draws(process, self.post, self.calls, self.view, self.changed.give)
        self.tenure: Tenure | None = None
        """The session this node lives under, none while it has lost one and has no other yet."""
        self.name = ""
        """What it is called among the nodes of its cluster."""
        self.problems: Mapping[str, FastnessError] = {}
        """Why a store of the cluster is not among `stores`."""
        self.samples: Mapping[str, StoreSample] = {}
        """What lies where in the stores, for ranges that grow too large."""
        self.draining = False
        """Nothing is taken over any more."""
        self.in_flight = 0
        """Requests given to leaseholders and not answered yet."""
        self.may_cache: Callable[[], bool] = _always
        """Whether a client may be granted a cache lease."""
        self.rests_until_ns = 0
        """No range commits before: a predecessor's clients may be serving what they cached."""
        self.resting = False
        """Whether ticks are rare, as nothing is under way."""
        self.wake: Callable[[], None] = _nothing
        """Called by whoever begins what must not become overdue while `resting`."""
        self.tasks: dict[asyncio.Task[None], None] = {}
        """What runs beside: for whoever stops the node."""

    @property
    def address(self) -> str:
        """The address of this node."""
        return self.post.address

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Let something run beside, until it ends or the node is stopped."""
        task = self.process.spawn(work, name=name)
        self.tasks[task] = None
        task.add_done_callback(self.tasks.pop)

    def shown(self, to: Address, descriptors: Iterable[Descriptor]) -> list[Descriptor]:
        """Descriptors as `to` may know them: those of its key space, clipped to it."""
        space = self.gate.space_of(to)
        if space is None:
            return list(descriptors)
        return [one.within(space) for one in descriptors if one.interval.overlaps(space)]

    def boot_ns(self) -> int:
        """The boot clock."""
        return self.process.clock.boot_ns()
