"""The local network: the real event loop runs what the simulated one runs."""

from __future__ import annotations

import asyncio

import pytest

from fastness.errors import InvalidOption
from fastness.runtime.clock import ManualClock
from fastness.runtime.local import LocalNetwork
from tests.runtime.conformance import LoopedProcessConformance, Play, Scenario, Stage, heard


def _play(scenario: Scenario) -> None:
    async def main() -> None:
        notes: list[tuple[str, str]] = []
        network = LocalNetwork(note=lambda address, event: notes.append((address, event)))
        try:
            await scenario(Stage(network.process("one"), network.process("other"), notes))
        finally:
            await network.close()

    asyncio.run(main())


class TestLocalProcess(LoopedProcessConformance):
    """It is a process like any other."""

    @pytest.fixture
    def play(self) -> Play:
        """Two processes of one local network."""
        return _play


def test_an_address_is_used_once_at_a_time() -> None:
    """Two processes of one address would hear each other's frames; a closed one frees it."""

    async def main() -> None:
        network = LocalNetwork()
        process, witness = network.process("a"), network.process("witness")
        with pytest.raises(InvalidOption, match="'a'"):
            network.process("a")
        await process.close()
        again = network.process("a")
        arrived = heard(witness, 1)
        again.send("witness", b"from the next")
        assert await arrived == [("a", b"from the next")]
        await network.close()

    asyncio.run(main())


def test_a_clock_may_be_given_and_notes_may_go_nowhere() -> None:
    """The machine's clocks and silence are the defaults."""

    async def main() -> None:
        network = LocalNetwork()
        clock = ManualClock()
        process = network.process("a", clock=clock)
        assert process.clock is clock
        process.note("unheard")
        await network.close()

    asyncio.run(main())
