"""Read-modify-write transactions over a socket, on random keys: 64 at once, one at a time.

Each reads a value and writes it with its counter one higher, and tries again when another came
first. Afterwards all counters must add up to what was acknowledged.
"""

from __future__ import annotations

from functools import partial

from benchmarks.clients.contract import Client
from benchmarks.clients.field import Field, competing
from benchmarks.clients.postgresql_client import PostgreSQLClient
from benchmarks.contests import Contestant, contest
from benchmarks.rows import Row, at_least
from benchmarks.samples import Round
from benchmarks.server_rows import costs, rates
from benchmarks.settings import Settings
from benchmarks.spells import tasks_for

TOGETHER = {PostgreSQLClient.name: at_least(3.0)}


def server_transactions(settings: Settings) -> list[Row]:
    """PostgreSQL SERIALIZABLE, Redis WATCH and MULTI, a transaction of etcd, `run`."""
    with competing(settings, "server-transactions") as found:
        increments = Increments(found, settings.spell_s)
        tasks = settings.concurrent
        together = contest(increments.contestants(tasks), rounds=settings.rounds)
        alone = contest(increments.contestants(1), rounds=settings.rounds)
        found.check_increments(increments.done)
        return [
            *rates(f"read-modify-write, {tasks} tasks", found, together, TOGETHER),
            *costs("read-modify-write, one task", found, alone, {}),
        ]


class Increments:
    """Rounds of increments, counted."""

    def __init__(self, found: Field, spell_s: float) -> None:
        self._found = found
        self._spell_s = spell_s
        self.done = dict.fromkeys(found.clients, 0)
        """How many were acknowledged, warming up included."""

    def contestants(self, tasks: int) -> list[Contestant]:
        """Everyone, with so many tasks."""
        return [
            self._found.playing(name, partial(self._play, name, client, tasks))
            for name, client in self._found.clients.items()
        ]

    def _play(self, name: str, client: Client, tasks: int) -> Round:
        found = self._found
        played = found.loop.run(tasks_for(self._spell_s, client.increment, found.keys, tasks))
        self.done[name] += played.operations
        return played
