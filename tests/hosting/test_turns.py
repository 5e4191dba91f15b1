"""Reservations end when they are to, whoever is held back by them."""

from __future__ import annotations

from functools import partial

from fastness.client import Database
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import from_milliseconds
from fastness.model import Entity
from fastness.runtime import ManualClock
from fastness.storage import MemoryStore
from tests.hosting.test_closing import set_under
from tests.hosting.test_interrupts import CtrlC
from tests.hosting.workers import Breakpoint, Worker
from tests.transactions.databases import driven

ELDER = (1, b"elder")
EVERY_KEY = KeyInterval(b"", b"\xff\xff")


class Thing(Entity, key="id"):
    """Something to register."""

    id: int


def test_upkeep_is_not_held_back_by_what_it_is_to_end(
    database: Database, clock: ManualClock
) -> None:
    """The thread that ends reservations writes values away that an elder has reserved."""
    database.set(b"k", b"v", expires_at=database.now() + from_milliseconds(1_000))
    clock.advance(milliseconds=2_000)
    turn = database.embedded.engine.reserve(ELDER, {b"k"}, [], milliseconds=1_000)
    upkeep = Worker(database.embedded.upkeep_step)
    try:
        assert upkeep.ended_within(10.0)
    finally:
        database.embedded.engine.release(turn)
        upkeep.result()


def test_registering_classes_is_not_held_back(database: Database) -> None:
    """It holds the lock that the owner of a turn, and the upkeep, may need to go on."""
    engine = database.embedded.engine
    turn = engine.reserve(ELDER, set(), [EVERY_KEY], milliseconds=1_000)
    registering = Worker(partial(database.use, Thing))
    try:
        assert registering.ended_within(10.0)
    finally:
        engine.release(turn)
        registering.result()


def test_a_release_interrupted_anywhere_leaves_nobody_waiting() -> None:
    """Ctrl-C while a turn is given up: who was held back goes on, now or when it has run out."""
    line, came = 1, True
    while came:
        interrupt, clock = CtrlC(line), ManualClock()
        with driven(MemoryStore(), clock) as database:
            engine = database.embedded.engine
            turn = engine.reserve(ELDER, {b"k"}, [], milliseconds=1_000)
            handed_over = Breakpoint("InlineHost._submit", stops=False)
            younger = Worker(partial(set_under, database, b"k", handed_over))
            handed_over.wait_until_reached()
            with interrupt.strikes():
                engine.release(turn)
            clock.advance(milliseconds=2_000)
            engine.expire_reservations()
            younger.result()
        line, came = line + 1, interrupt.came
    assert line > 5
