"""Drivers: run a workload on any database with transactions, on threads or on asyncio tasks.

A database takes part with one function that runs a transaction body and commits it::

    history = run_workload(ListAppendWorkload(), database.run)

The body is called with something that has `get(key)` and `set(key, value)`, once for each
attempt. Another database needs an adapter of a few lines: begin, call the body, commit;
raise a `FastnessError` if the transaction certainly did not commit, an error with a true
attribute `maybe_committed` if that is not known. Both count as outcomes, and the workload goes
on; any other error stops it and is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final, Protocol

from fastness.errors import FastnessError
from fastness.testing.history import History, OpenTransaction, Recorder
from fastness.testing.workloads import Get, Plan, Workload

SETUP_ATTEMPTS_MAX: Final = 100


class KeyValue(Protocol):
    """A transaction, as a body sees it. It sees its own writes."""

    def get(self, key: bytes, /) -> bytes | None:
        """The value of a key, `None` where it is absent."""

    def set(self, key: bytes, value: bytes, /) -> None:
        """Give a key a value when the transaction commits."""


class AsyncKeyValue(Protocol):
    """As `KeyValue`, where reading must be awaited."""

    async def get(self, key: bytes, /) -> bytes | None:
        """The value of a key, `None` where it is absent."""

    def set(self, key: bytes, value: bytes, /) -> None:
        """Give a key a value when the transaction commits."""


Transact = Callable[[Callable[[KeyValue], None]], object]
"""Runs a body in a transaction, again after a conflict if it likes, and returns once committed."""

AsyncTransact = Callable[[Callable[[AsyncKeyValue], Awaitable[None]]], Awaitable[object]]
"""As `Transact`, awaited."""


def run_workload(
    workload: Workload, transact: Transact, *, recorder: Recorder | None = None
) -> History:
    """Run every process of a workload on a thread of its own; returns what they recorded.

    Errors that are no outcome stop all processes; the first is raised.
    """
    recorder = recorder if recorder is not None else Recorder()
    stop = Event()
    for plan in workload.setup():
        _set_up(plan, transact)
    numbers = [recorder.process() for _ in range(workload.processes)]
    with ThreadPoolExecutor(workload.processes, thread_name_prefix="history") as pool:
        clients = [
            pool.submit(_run, workload.client(place), transact, recorder, number, stop)
            for place, number in enumerate(numbers)
        ]
    for client in clients:
        client.result()
    _run(workload.finale(), transact, recorder, recorder.process(), stop)
    return recorder.history()


async def run_workload_async(
    workload: Workload, transact: AsyncTransact, *, recorder: Recorder | None = None
) -> History:
    """As `run_workload`, each process a task. Errors arrive as an `ExceptionGroup`."""
    recorder = recorder if recorder is not None else Recorder()
    for plan in workload.setup():
        await _set_up_async(plan, transact)
    async with asyncio.TaskGroup() as tasks:
        for place in range(workload.processes):
            client = workload.client(place)
            tasks.create_task(_run_async(client, transact, recorder, recorder.process()))
    await _run_async(workload.finale(), transact, recorder, recorder.process())
    return recorder.history()


def _set_up(plan: Plan, transact: Transact) -> None:
    """Run a setup transaction until it is acknowledged; running it again does no harm."""
    for attempt in range(SETUP_ATTEMPTS_MAX):
        try:
            transact(_body(plan, Recorder().begin(0)))
            return
        except BaseException as error:
            if not _is_outcome(error) or attempt == SETUP_ATTEMPTS_MAX - 1:
                raise


async def _set_up_async(plan: Plan, transact: AsyncTransact) -> None:
    for attempt in range(SETUP_ATTEMPTS_MAX):
        try:
            await transact(_async_body(plan, Recorder().begin(0)))
            return
        except BaseException as error:
            if not _is_outcome(error) or attempt == SETUP_ATTEMPTS_MAX - 1:
                raise


def _run(
    plans: Iterable[Plan], transact: Transact, recorder: Recorder, process: int, stop: Event
) -> None:
    for plan in plans:
        if stop.is_set():
            return
        try:
            with recorder.transaction(process) as record:
                transact(_body(plan, record))
        except BaseException as error:
            if not _is_outcome(error):
                stop.set()
                raise


async def _run_async(
    plans: Iterable[Plan], transact: AsyncTransact, recorder: Recorder, process: int
) -> None:
    for plan in plans:
        try:
            with recorder.transaction(process) as record:
                await transact(_async_body(plan, record))
        except BaseException as error:
            if not _is_outcome(error):
                raise


def _is_outcome(error: BaseException) -> bool:
    return isinstance(error, FastnessError) or getattr(error, "maybe_committed", False) is True


def _body(plan: Plan, record: OpenTransaction) -> Callable[[KeyValue], None]:
    """What the database calls: each call is an attempt, of which the last one counts."""

    def body(transaction: KeyValue) -> None:
        record.restart()
        program = plan(record)
        found: bytes | None = None
        while True:
            try:
                step = program.send(found)
            except StopIteration:
                return
            if isinstance(step, Get):
                found = transaction.get(step.key)
            else:
                transaction.set(step.key, step.value)
                found = None

    return body


def _async_body(plan: Plan, record: OpenTransaction) -> Callable[[AsyncKeyValue], Awaitable[None]]:
    async def body(transaction: AsyncKeyValue) -> None:
        record.restart()
        program = plan(record)
        found: bytes | None = None
        while True:
            try:
                step = program.send(found)
            except StopIteration:
                return
            if isinstance(step, Get):
                found = await transaction.get(step.key)
            else:
                transaction.set(step.key, step.value)
                found = None

    return body
