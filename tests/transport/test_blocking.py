"""The blocking client: one thread, many threads, Ctrl-C, forks, and servers that go."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from fastness.errors import DatabaseClosed, Overloaded, Unauthenticated, Unreachable
from fastness.runtime.process import Process
from fastness.transport import BlockingProcess
from tests.transport.scenes import LIMITS
from tests.transport.threads import Echoes, ServerThread, server_thread


@pytest.fixture(params=["tcp", "unix"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerThread]:
    """A server that echoes, over each kind of socket."""
    with server_thread(tmp_path, "127.0.0.1:0" if request.param == "tcp" else "") as started:
        yield started


@pytest.fixture
def echoes(server: ServerThread) -> Iterator[Echoes]:
    """A client of it."""
    with Echoes(server.seed) as client:
        yield client


def test_it_is_a_process(echoes: Echoes) -> None:
    """Of the same kind as those on event loops, to whoever is written against them."""
    process: Process = echoes.process
    assert process.address.startswith("client/")
    assert process.clock.boot_ns() <= process.clock.boot_ns()


def test_calls_are_answered(echoes: Echoes, server: ServerThread) -> None:
    """One after the other, of any size, under the full address of the server."""
    for size in (0, 1, 100, 70_000, 5_000_000):
        payload = os.urandom(size)
        assert echoes(payload) == payload
    assert echoes.process.drive(echoes.process.reach(server.seed)) == server.process.address
    welcome = echoes.process.welcome_of(server.seed)
    assert welcome is not None
    assert (welcome.role, welcome.prefix) == ("read-write", b"tenant/")
    assert (echoes.process.counts.opened, echoes.process.counts.frames_in) == (1, 5)


def test_many_calls_may_be_out(echoes: Echoes) -> None:
    """Of one coroutine, and of tasks beside it; frames of one turn leave together."""

    async def all_of() -> list[bytes]:
        tasks = [
            echoes.process.spawn(echoes.ask(b"%d" % number), name="ask") for number in range(200)
        ]
        return [await task for task in tasks]

    assert echoes.process.drive(all_of()) == [b"%d" % number for number in range(200)]


def test_a_process_can_send_to_itself(echoes: Echoes) -> None:
    """Its frames take the way through the pump."""

    async def alone() -> tuple[str, bytes]:
        arrived: asyncio.Future[tuple[str, bytes]] = echoes.process.future()
        echoes.process.listen(lambda sender, frame: arrived.set_result((sender, frame)))
        echoes.process.send(echoes.process.address, b"note")
        echoes.process.send("client/nobody", b"lost")
        assert not arrived.done()
        return await arrived

    assert echoes.process.drive(alone()) == (echoes.process.address, b"note")
    assert echoes.process.counts.undeliverable == 1


def test_timers_come_in_order_and_can_be_cancelled() -> None:
    """While somebody pumps; also one that was set while another thread waits."""
    process = BlockingProcess()
    came: list[str] = []

    async def scenario() -> None:
        last = process.future()
        process.call_later(2.0, last.set_result, None)
        process.call_later(1.0, came.append, "second")
        process.call_later(0.0, came.append, "first")
        process.call_later(0.0, came.append, "cancelled").cancel()
        await last

    process.drive(scenario())
    assert came == ["first", "second"]
    waiting = threading.Event()

    async def wait_long() -> str:
        future = process.future()
        process.call_later(0.0, waiting.set)
        process.call_later(3_600_000.0, future.set_result, "too late")
        process.listen(lambda _sender, _frame: future.set_result("woken"))
        return str(await future)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(process.drive, wait_long())
        assert waiting.wait(60)
        process.drive(scenario())

        async def wake() -> None:
            process.send(process.address, b"")

        process.drive(wake())
        assert slow.result(60) == "woken"
    process.close()


def test_errors_and_results_of_tasks_reach_who_awaits_them() -> None:
    """Cancelling one raises inside it, where it waits."""
    process = BlockingProcess()
    ended: list[str] = []

    async def fails() -> None:
        raise Overloaded("no")

    async def waits() -> None:
        try:
            await process.future()
        finally:
            ended.append("cleaned up")

    async def scenario() -> str:
        with pytest.raises(Overloaded):
            await process.spawn(fails(), name="fails")
        task = process.spawn(waits(), name="waits")
        process.call_later(0.0, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        early = process.spawn(waits(), name="early")
        assert early.cancel()
        with pytest.raises(asyncio.CancelledError):
            await early
        assert not early.cancel()
        assert early.get_name().endswith("early")
        await asyncio.sleep(0)
        return "done"

    assert process.drive(scenario()) == "done"
    assert ended == ["cleaned up"]
    process.close()


def test_a_callback_that_fails_is_noted() -> None:
    """It is nobody's who happens to pump."""
    notes: list[str] = []
    process = BlockingProcess(note=lambda _address, event: notes.append(event))

    async def scenario() -> None:
        future = process.future()
        process.call_later(0.0, lambda: 1 // 0)
        process.call_later(1.0, future.set_result, None)
        await future

    process.drive(scenario())
    assert "ZeroDivisionError" in notes[0]
    process.close()


def test_driving_inside_of_what_is_driven(echoes: Echoes) -> None:
    """A hook that calls back into the database waits like anybody else."""

    async def outer() -> bytes:
        first = await echoes.ask(b"1")
        return first + echoes(b"2") + await echoes.ask(b"3")

    assert echoes.process.drive(outer()) == b"123"


@pytest.mark.parametrize("credential", ["", "wrong"])
def test_why_nobody_is_reached_is_told(server: ServerThread, credential: str) -> None:
    """By the typed error, and by `reason` later."""
    with Echoes(server.seed, credential=credential) as client:
        process = client.process
        with pytest.raises(Unauthenticated):
            process.drive(process.reach(server.seed))
        assert isinstance(process.reason(server.seed), Unauthenticated)
        for nowhere in ("no.such.host.invalid:1", "unix:missing", "127.0.0.1:1"):
            with pytest.raises(Unreachable, match=rf"{nowhere}.*does a server listen there\?"):
                process.drive(process.reach(nowhere))
        assert process.counts.failed_dials == 4


def test_a_silent_server_is_given_up() -> None:
    """After `handshake_ms`."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seed = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            Echoes(seed, limits=replace(LIMITS, handshake_ms=50)) as client,
            pytest.raises(Unreachable, match="did not answer within 50 ms"),
        ):
            client.process.drive(client.process.reach(seed))


def test_a_server_that_restarted_is_found_again(echoes: Echoes, server: ServerThread) -> None:
    """Its end is noticed before anything is sent to it, so nothing gets lost."""
    process = echoes.process
    lost: list[str] = []
    process.lost = lost.append
    assert echoes(b"before") == b"before"
    old = process.drive(process.reach(server.seed))
    server.restart()
    with pytest.raises(Unreachable, match="is gone"):
        process.drive(until_lost_and_reached(process, old))
    assert echoes(b"after") == b"after"
    assert process.drive(process.reach(server.seed)) == server.process.address != old
    assert lost == [old, server.seed]


async def until_lost_and_reached(process: BlockingProcess, address: str) -> str:
    """Reach an address once the connection it had is known to be lost."""
    while process.welcome_of(address) is not None:
        await process.reach(address)
    return await process.reach(address)


def test_threads_share_one_connection(echoes: Echoes, server: ServerThread) -> None:
    """Each gets its own answers, whoever reads them."""

    def work(number: int) -> list[bytes]:
        return [echoes(b"%d.%d" % (number, turn)) for turn in range(100)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert found == [[b"%d.%d" % (number, turn) for turn in range(100)] for number in range(8)]
    assert server.process.counts.opened == 1


def test_whoever_still_waits_goes_on_pumping(echoes: Echoes) -> None:
    """A leader that is done hands over; its followers are woken by what others read."""
    process = echoes.process
    late: list[asyncio.Future[bytes]] = []
    waiting = threading.Barrier(4)

    async def wait_for_another() -> bytes:
        future = process.future()
        late.append(future)
        process.call_later(0.0, lambda: None)
        await echoes.ask(b"")
        return bytes(await future)

    def work() -> bytes:
        waiting.wait(60)
        return process.drive(wait_for_another())

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work) for _ in range(3)]
        waiting.wait(60)
        while len(late) < 3:
            assert echoes(b"x") == b"x"

        async def resolve() -> None:
            for place, future in enumerate(late):
                future.set_result(b"%d" % place)

        process.drive(resolve())
        assert sorted(worker.result(60) for worker in workers) == [b"0", b"1", b"2"]


def test_closing_wakes_whoever_waits(echoes: Echoes) -> None:
    """Leader and followers alike get `DatabaseClosed`, as does whoever comes later."""
    process = echoes.process
    waiting = threading.Semaphore(0)

    async def wait() -> None:
        process.call_later(0.0, waiting.release)
        await process.future()

    def work() -> str:
        with pytest.raises(DatabaseClosed, match="closed"):
            process.drive(wait())
        return "woken"

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work) for _ in range(3)]
        for _ in workers:
            assert waiting.acquire(timeout=60)
        process.close()
        assert [worker.result(60) for worker in workers] == ["woken"] * 3
    process.close()
    with pytest.raises(DatabaseClosed):
        echoes(b"late")


def test_a_forked_child_refuses_the_connection(echoes: Echoes) -> None:
    """With a typed error, and the parent goes on with it undisturbed."""
    assert echoes(b"before") == b"before"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            echoes(b"in the child")
        except DatabaseClosed as error:
            code = 0 if "fork" in str(error) else 2
        finally:
            echoes.process.close()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert echoes(b"after") == b"after"
    assert echoes.process.counts.opened == 1


def test_a_child_forked_by_another_thread_is_not_stuck(echoes: Echoes) -> None:
    """Even where a thread of the parent was in the middle of a call."""
    process = echoes.process
    waiting = threading.Event()

    async def wait() -> None:
        process.call_later(0.0, waiting.set)
        await process.future()

    def work() -> None:
        with suppress(DatabaseClosed):
            process.drive(wait())

    thread = threading.Thread(target=work)
    thread.start()
    assert waiting.wait(60)
    pid = os.fork()
    if pid == 0:
        try:
            echoes(b"in the child")
        except DatabaseClosed:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    process.close()
    thread.join(60)


def test_a_child_forked_in_the_middle_of_a_drive(echoes: Echoes) -> None:
    """By a hook, say: it is refused at once, and finds its way out."""

    async def forks() -> bytes:
        child = os.fork()
        if child == 0:
            return b"child" + await echoes.ask(b"")
        assert exit_code_of(child) == 7
        return await echoes.ask(b"parent")

    try:
        said = echoes.process.drive(forks())
    except DatabaseClosed:
        os._exit(7)
    assert said == b"parent"


def exit_code_of(child: int) -> int:
    """How a child ended."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# ------------------------------------------------------------------------- Ctrl-C


@contextmanager
def ctrl_c_from_outside(when: threading.Event) -> Iterator[None]:
    """Send this process a SIGINT, from another thread, once something has happened."""

    def strike() -> None:
        assert when.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)


def test_ctrl_c_ends_a_call_that_waits(echoes: Echoes) -> None:
    """It is raised where the coroutine waits, which may clean up; the next call works."""
    process = echoes.process
    polls = threading.Event()
    cleaned: list[bytes] = []

    async def wait() -> None:
        process.call_later(0.0, polls.set)
        try:
            await process.future()
        finally:
            cleaned.append(await echoes.ask(b"cleaned up"))

    with ctrl_c_from_outside(polls), pytest.raises(KeyboardInterrupt):
        process.drive(wait())
    assert cleaned == [b"cleaned up"]
    assert echoes(b"after") == b"after"


def test_ctrl_c_ends_a_call_that_follows_another_thread(echoes: Echoes) -> None:
    """The main thread need not be the one that pumps."""
    process = echoes.process
    leads, follows = threading.Event(), threading.Event()
    forever: list[asyncio.Future[None]] = []

    async def wait(begun: threading.Event) -> None:
        forever.append(process.future())
        process.call_later(0.0, begun.set)
        await forever[-1]

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(process.drive, wait(leads))
        assert leads.wait(60)
        with ctrl_c_from_outside(follows), pytest.raises(KeyboardInterrupt):
            process.drive(wait(follows))

        async def resolve() -> None:
            forever[0].set_result(None)

        process.drive(resolve())
        assert leader.result(60) is None


def test_a_handler_that_does_not_raise_lets_the_call_go_on(echoes: Echoes) -> None:
    """The program's own handler runs, while the call waits and not after it."""
    came: list[str] = []
    polls = threading.Event()
    waiting: list[asyncio.Future[None]] = []

    async def wait() -> bytes:
        waiting.append(echoes.process.future())
        echoes.process.call_later(0.0, polls.set)
        await waiting[0]
        return await echoes.ask(b"went on")

    def handled(_number: int, _frame: FrameType | None) -> None:
        came.append("handled")
        waiting[0].set_result(None)

    before = signal.signal(signal.SIGINT, handled)
    try:
        with ctrl_c_from_outside(polls):
            assert echoes.process.drive(wait()) == b"went on"
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == ["handled"]


WATCHED = ("/transport/pump.py", "/transport/blocking.py", "/transport/lines.py")


class CtrlC:
    """Sends SIGINT to this thread, the main one, at its n-th line in the watched files."""

    def __init__(self, line: int) -> None:
        self.left = line

    @contextmanager
    def strikes(self) -> Iterator[None]:
        """Count lines from here on; the interrupt itself is caught here."""
        sys.settrace(self._trace)
        try:
            yield
        except KeyboardInterrupt:
            assert self.left <= 0
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - as sys.settrace wants it
        if not frame.f_code.co_filename.endswith(WATCHED):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)
        return self._trace


def test_ctrl_c_at_every_line_leaves_it_usable(tmp_path: Path) -> None:
    """Of a call, the dial included: the next call is answered, over the same connection."""
    with server_thread(tmp_path) as server:
        line = 1
        while True:
            with Echoes(server.seed) as client:
                strike = CtrlC(line)
                with strike.strikes():
                    for payload in (b"interrupted", b"again"):
                        # Struck before it could begin, it would be missed.
                        with closing(client.ask(payload)) as call:
                            client.process.drive(call)
                assert client(b"after") == b"after"
                assert client.process.counts.opened == 1
            if strike.left > 0:
                break
            line += 1
        assert line > 200
