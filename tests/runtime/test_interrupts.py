"""Ctrl-C that is deferred: noted at once, and then done with as the program would have."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread
from types import FrameType

import pytest

from fastness.runtime.interrupts import InterruptsDeferred, in_main_thread


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """What the program's own handler was called with."""
    calls: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        calls.append(number)

    before = signal.signal(signal.SIGINT, handle)
    yield calls
    signal.signal(signal.SIGINT, before)


def test_it_is_noted_and_delivered_on_leaving(handled: list[int]) -> None:
    """However often it came; the program's handler is back in its place."""
    noted: list[bool] = []
    with InterruptsDeferred(lambda: noted.append(True)) as interrupts:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        assert (interrupts.arrived, handled) == (True, [])
    assert (handled, noted) == ([signal.SIGINT], [True, True])
    signal.raise_signal(signal.SIGINT)
    assert handled == [signal.SIGINT] * 2


def test_it_may_be_delivered_before(handled: list[int]) -> None:
    """Once: nothing is left for the end."""
    with InterruptsDeferred() as interrupts:
        signal.raise_signal(signal.SIGINT)
        interrupts.deliver()
        assert (interrupts.arrived, handled) == (False, [signal.SIGINT])
    assert handled == [signal.SIGINT]


def test_it_raises_what_the_handler_raises() -> None:
    """Which is `KeyboardInterrupt` where the program set none."""
    with pytest.raises(KeyboardInterrupt), InterruptsDeferred():
        signal.raise_signal(signal.SIGINT)


def test_other_threads_have_nothing_to_defer(handled: list[int]) -> None:
    """Signals are delivered in the main thread alone."""
    found: list[bool] = []

    def work() -> None:
        with InterruptsDeferred() as interrupts:
            found.extend([in_main_thread(), interrupts.arrived])

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert (found, in_main_thread(), handled) == ([False, False], True, [])


@pytest.mark.process
@pytest.mark.parametrize(
    ("action", "code"), [("SIG_DFL", -signal.SIGINT), ("SIG_IGN", 0)], ids=["default", "ignored"]
)
def test_what_the_system_does_is_done(action: str, code: int) -> None:
    """A program that wants to end at once ends, one that ignores it goes on."""
    program = (
        "import signal\n"
        "from fastness.runtime.interrupts import InterruptsDeferred\n"
        f"signal.signal(signal.SIGINT, signal.{action})\n"
        "with InterruptsDeferred():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('deferred', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert (ended.returncode, ended.stdout) == (code, b"deferred\n"), ended.stderr
