"""Batches of a range in PostgreSQL: in doubt, cancelled, fenced, failed over, exhaustively.

    python -m models postgres_batches

What is modelled. The holder sends a batch of epoch 5 to the primary. Its statement first locks and
updates the range's row, which checks the epoch; then the commit record is written, and waits
for the standby with the row still locked and nothing visible; then it is replicated, and
the holder hears of it. A cancelled wait makes the commit visible on the primary alone, with a
warning. The connection may break at any time, and then the holder asks whether the batch
was applied: by a synchronous write that takes the row's lock and uses the batch's number up.
The primary may be lost, and the standby takes over with what was replicated. Another node
may open epoch 6, which locks the same row, and load what it sees.

What is promised:

* an acknowledged batch survives the loss of the primary;
* a batch that was said not to be applied never is, and one that was said to be applied is;
* a batch of epoch 5 that epoch 6 did not find when it loaded never appears, and one that it found
  is never lost.

PostgreSQL is modelled from its documentation. Bounds: one batch, one failover, one new epoch.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    ROW_LOCKED = "a batch reads the epoch in its snapshot, without locking the row"
    ASKED_BY_WRITING = "whether a batch was applied is asked by a plain read"
    WARNING_IS_DOUBT = "a commit with a warning is taken for a success"
    NUMBER_USED_UP = "the question leaves the batch's number unused"
    OPENED_SYNCHRONOUSLY = "a new epoch loads what is visible before its opening is replicated"


class Batch(StrEnum):
    """Where the batch is."""

    UNSENT = "unsent"
    SENT = "sent"
    PASSED = "past the fence"
    WAITING = "waits for the standby"
    VISIBLE = "visible on the primary alone"
    REPLICATED = "replicated"
    GONE = "refused for good"


class Holder(StrEnum):
    """What the holder believes."""

    IDLE = "idle"
    WAITS = "waits"
    DOUBTS = "in doubt"
    APPLIED = "it was applied"
    REFUSED = "it was not applied"


class World(NamedTuple):
    """One state of everything."""

    batch: Batch = Batch.UNSENT
    holder: Holder = Holder.IDLE
    failed_over: bool = False
    epoch: int = 5
    loaded_with: bool | None = None
    """Whether epoch 6 found the batch when it loaded."""


_THERE = {Batch.VISIBLE, Batch.REPLICATED}


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    if world.batch is Batch.UNSENT:
        yield "the holder sends the batch", world._replace(batch=Batch.SENT, holder=Holder.WAITS)
    if not world.failed_over:
        yield from _primary(world)
    yield from _holder(world, without)
    locked = world.batch in {Batch.PASSED, Batch.WAITING} and without is not Rule.ROW_LOCKED
    if world.epoch == 5 and not world.failed_over and not locked:
        found = world.batch in _THERE
        what = f"epoch 6 is opened, and {'finds' if found else 'does not find'} the batch"
        opened = world._replace(epoch=6, loaded_with=found)
        if found and without is not Rule.OPENED_SYNCHRONOUSLY:
            # The opening is replicated, and with it everything that was written before it.
            opened = opened._replace(batch=Batch.REPLICATED)
        yield what, opened


def _primary(world: World) -> Steps[World]:
    if world.batch is Batch.SENT and world.epoch == 5:
        yield "the batch passes the fence", world._replace(batch=Batch.PASSED)
    elif world.batch is Batch.SENT:
        yield "the batch is fenced", world._replace(batch=Batch.GONE)
    elif world.batch is Batch.PASSED:
        yield "its commit record is written", world._replace(batch=Batch.WAITING)
    elif world.batch is Batch.WAITING:
        cancelled = world._replace(batch=Batch.VISIBLE)
        yield "the wait for the standby is cancelled", cancelled
    if world.batch in {Batch.WAITING, Batch.VISIBLE}:
        yield "the standby confirms the batch", world._replace(batch=Batch.REPLICATED)
    if world.batch is not Batch.UNSENT:
        kept = world.batch if world.batch in {Batch.REPLICATED, Batch.GONE} else Batch.GONE
        yield (
            "the primary is lost, the standby takes over",
            world._replace(batch=kept, failed_over=True),
        )


def _holder(world: World, without: Rule | None) -> Steps[World]:
    if world.holder is Holder.WAITS:
        if world.batch is Batch.REPLICATED:
            yield "the holder hears of it, and acknowledges", _believes(world, Holder.APPLIED)
        elif world.batch is Batch.VISIBLE and without is Rule.WARNING_IS_DOUBT:
            yield "the holder takes the warning for a success", _believes(world, Holder.APPLIED)
        yield "the holder hears nothing, or a warning", _believes(world, Holder.DOUBTS)
    elif world.holder is Holder.DOUBTS:
        if without is Rule.ASKED_BY_WRITING:
            if world.batch in _THERE:
                yield "the holder reads: it is there", _believes(world, Holder.APPLIED)
            else:
                yield "the holder reads: it is not there", _believes(world, Holder.REFUSED)
        elif world.batch in _THERE:
            # The question is replicated, and with it everything that was written before it.
            asked = world._replace(batch=Batch.REPLICATED)
            yield "the holder asks by writing: it was applied", _believes(asked, Holder.APPLIED)
        elif world.batch in {Batch.SENT, Batch.GONE}:
            may_come = without is Rule.NUMBER_USED_UP and world.batch is Batch.SENT
            asked = world if may_come else world._replace(batch=Batch.GONE)
            what = "the holder asks by writing: it was not, and its number is used up"
            yield what, _believes(asked, Holder.REFUSED)


def _believes(world: World, holder: Holder) -> World:
    return world._replace(holder=holder)


def wrong(world: World) -> str:
    """The promise that is broken."""
    if world.holder is Holder.APPLIED and world.batch not in _THERE:
        return "an acknowledged batch is lost"
    if world.holder is Holder.REFUSED and world.batch in {Batch.WAITING, *_THERE}:
        return "a batch was said not to be applied, and is"
    if world.loaded_with is False and world.batch in _THERE:
        return "a batch of epoch 5 appears, which epoch 6 did not find when it loaded"
    if world.loaded_with and world.batch not in _THERE:
        return "a batch of epoch 5 is lost, which epoch 6 had found when it loaded"
    return ""


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="one batch, its doubts, a failover and a new epoch",
            start=World(),
            steps=steps,
            wrong=wrong,
            needs=tuple(Rule),
        ),
    ),
)
