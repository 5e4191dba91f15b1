"""Run a workload on a database step by step, in an order drawn from a seed.

One thread plays all processes, so that every history is reproduced by its seed, and anomalies
need no luck with a scheduler. Some outcomes are withheld from the client, as a lost connection
would: they are recorded as unknown, whether or not the commit took place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

from fastness.errors import Conflict
from fastness.testing import Get, History, Outcome, Plan, Recorder, Workload
from tests.histories.databases import StepDatabase


def interleave(
    workload: Workload, database: StepDatabase, *, seed: int, unknown: float = 0.0
) -> History:
    """The history of a workload; `unknown` is the share of commits without an answer."""
    recorder, random = Recorder(), Random(seed)
    for plan in workload.setup():
        run_serially([plan], database, Recorder())
    clients = [
        _client(workload.client(process), database, recorder, random, unknown)
        for process in range(workload.processes)
    ]
    while clients:
        client = random.choice(clients)
        if next(client, None) is None:
            clients.remove(client)
    run_serially(workload.finale(), database, recorder)
    return recorder.history()


def run_serially(plans: Iterable[Plan], database: StepDatabase, recorder: Recorder) -> None:
    """One transaction after another."""
    for _ in _client(plans, database, recorder, Random(0), unknown=0.0):
        pass


def _client(
    plans: Iterable[Plan],
    database: StepDatabase,
    recorder: Recorder,
    random: Random,
    unknown: float,
) -> Iterator[bool]:
    """Yields before each step: invoke, begin, each operation, commit, answer."""
    process = recorder.process()
    for plan in plans:
        record = recorder.begin(process)
        yield True
        transaction = database.begin()
        outcome = Outcome.UNKNOWN if random.random() < unknown else Outcome.OK
        program, found = plan(record), None
        try:
            while True:
                yield True
                step = program.send(found)
                if isinstance(step, Get):
                    found = transaction.get(step.key)
                else:
                    transaction.set(step.key, step.value)
                    found = None
        except StopIteration:
            pass
        except Conflict:
            record.complete(Outcome.FAILED)
            continue
        yield True
        try:
            if outcome is Outcome.OK or random.random() < 0.5:
                transaction.commit()
        except Conflict:
            outcome = Outcome.FAILED
        yield True
        record.complete(outcome)
