"""A small service for the simulated world: enough of everything for every fault to strike.

Each process sends frames to its neighbours, keeps a session at the coordinator and writes batches
to its own range of a store, as a leaseholder would: it settles what is in doubt, and opens its
range again when it is fenced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from fastness.errors import DiskFull, Fenced, Unreachable
from fastness.placement.coordinator import Put
from fastness.storage.contract import Batch, CommittedWrites, RangeState
from fastness.testing.simulation import SimulatedProcess, World
from fastness.wire.messages import CALL, MapRequest, encode_frame

PROCESSES: Final = 4
PATIENCE_MS: Final = 50.0
SESSION_MS: Final = 200
BATCH_EVERY_MS: Final = 4.0
FRAME: Final = encode_frame(CALL, 1, 2, MapRequest())


class Busy:
    """The service, and what it got done: frames heard, renewals, batches, by process name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: Counter[str] = Counter()
        self.renewed: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self.clocks: Counter[str] = Counter()
        self._epochs: Counter[int] = Counter()

    def start(self) -> None:
        """Start its processes."""
        self.world.store("store")
        for number in range(PROCESSES):
            self.world.start(f"node {number}", self._start_process)

    def least(self) -> int:
        """What the process that got least done got done of any kind."""
        names = [f"node {number}" for number in range(PROCESSES)]
        counts = (self.heard, self.renewed, self.written)
        return min(count[name] for count in counts for name in names)

    def forget(self) -> None:
        """Count from the beginning."""
        for count in (self.heard, self.renewed, self.written):
            count.clear()

    def _start_process(self, process: SimulatedProcess) -> None:
        process.listen(lambda _sender, frame: self._hear(process, frame))
        self._tick(process, 0)
        tasks = (
            process.spawn(self._keep_session(process), name="session"),
            process.spawn(self._write(process), name="write"),
        )
        assert not any(task.done() for task in tasks)

    def _hear(self, process: SimulatedProcess, frame: bytes) -> None:
        before = process.clock.boot_ns()
        self.heard[process.name] += frame == FRAME
        # Time stands still inside a callback, unless a pause struck in the middle of it.
        self.clocks["stalled"] += process.clock.boot_ns() > before

    def _tick(self, process: SimulatedProcess, count: int) -> None:
        neighbour = f"node {count % PROCESSES}"
        process.send(self.world.process(neighbour).address, FRAME)
        process.call_later(1.0, self._tick, process, count + 1)

    async def _keep_session(self, process: SimulatedProcess) -> None:
        coordinator = self.world.coordinator_for(process, patience_ms=PATIENCE_MS)
        session = 0
        while True:
            try:
                if session == 0 or not await coordinator.keep_alive(session):
                    session = await coordinator.open_session(SESSION_MS)
                written = await coordinator.write({}, [Put(process.address, b"", session)])
                self.renewed[process.name] += written is not None
            except Unreachable:
                process.note("the coordinator does not answer")
            await self.world.sleep(SESSION_MS / 10)

    async def _write(self, process: SimulatedProcess) -> None:
        store = self.world.store_for(process, "store", patience_ms=PATIENCE_MS)
        range_id = int(process.name.partition(" ")[2]) + 1
        while True:
            self._epochs[range_id] += 1
            epoch = self._epochs[range_id]
            state = await _ask(process, store.open_range, range_id, epoch)
            if not isinstance(state, RangeState):
                continue
            number, error = state.batch_number, None
            while not isinstance(error, Fenced):
                commit = CommittedWrites(epoch * 1_000_000 + number, {b"%d" % range_id: b"value"})
                batch = Batch(range_id, epoch, number + 1, [commit])
                error = await _ask(process, store.apply, batch)
                while isinstance(error, Unreachable):
                    error = await _ask(process, store.settle, range_id, epoch, number + 1)
                self.written[process.name] += error is None or error is True
                number += not isinstance(error, DiskFull)
                await self.world.sleep(BATCH_EVERY_MS)


async def _ask(process: SimulatedProcess, request: Callable[..., None], *args: object) -> Any:  # noqa: ANN401 - whatever a store answers
    answered = process.future()
    request(*args, answered.set_result)
    return await answered
