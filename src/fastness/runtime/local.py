"""Processes inside one real process: the real event loop, the real clocks, an in-memory network.

The implementation of `Process` that needs no socket: it embeds a whole cluster in one program,
and runs the code the simulator runs under the event loop that production runs. Frames arrive in
the order they were sent and are not lost, unless their receiver is gone.
"""

from __future__ import annotations

from collections.abc import Callable

from fastness.errors import InvalidOption
from fastness.runtime.clock import Clock
from fastness.runtime.looped import LoopedProcess
from fastness.runtime.process import Address


class LocalNetwork:
    """The processes of one program, by address. Used from the thread of one running loop."""

    def __init__(
        self, *, note: Callable[[Address, str], None] = lambda _address, _event: None
    ) -> None:
        """`note(address, event)` gets the lines of every process's story."""
        self.note = note
        self._processes: dict[Address, LocalProcess] = {}

    def process(self, address: Address, *, clock: Clock | None = None) -> LocalProcess:
        """A new process; `InvalidOption` if its address is in use. Close it in the end.

        Called inside a running event loop, which is the one it will live on.
        """
        if address in self._processes:
            raise InvalidOption(f"address {address!r} is in use: a restarted process has a new one")
        process = LocalProcess(self, address, clock)
        self._processes[address] = process
        return process

    def deliver(self, sender: Address, to: Address, frame: bytes) -> None:
        """Hand a frame to whoever listens at an address by now."""
        process = self._processes.get(to)
        if process is not None:
            process.arrive(sender, frame)

    def forget(self, address: Address) -> None:
        """Nobody is at the address any more; `LocalProcess.close` calls it."""
        self._processes.pop(address, None)

    async def close(self) -> None:
        """Close every process, the newest first."""
        for process in reversed(list(self._processes.values())):
            await process.close()


class LocalProcess(LoopedProcess):
    """A `Process` on the running event loop; see there for what its calls promise."""

    def __init__(self, network: LocalNetwork, address: Address, clock: Clock | None) -> None:
        """Made by `LocalNetwork.process`."""
        super().__init__(address, clock=clock, note=network.note)
        self._network = network

    def send(self, to: Address, frame: bytes) -> None:
        """Send a frame. It arrives unless nobody is there by then."""
        if not self._closed:
            self._loop.call_soon(self._network.deliver, self.address, to, frame)

    async def close(self) -> None:
        """Leave the network, cancel the timers and the tasks, and wait for those to end.

        Not to be called by a task of the process itself, which would wait for its own end.
        """
        self._network.forget(self.address)
        await self.end()
