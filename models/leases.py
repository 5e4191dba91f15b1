"""Leases of ranges: renewal, succession, release, reads in flight and moves, exhaustively.

    python -m models leases

Three scenarios.

*Holder and successor.* N1 renews its lease of a range: it sends, the coordinator compares and
extends, the answer arrives. Its clock may fall behind by a tick and N2's run ahead by one; the
host of N1 may be suspended. N2 may take the range's key at any time, whatever became of N1 or of
its node: by expiry, by an operator's hand, because the key was deleted. N1 may release its lease.
The session of N1's node is not modelled, because safety does not rest on it: it only
tells others when to take over. So a lease is counted from before the *comparison* was sent,
whenever the session was kept alive. Promise: N2 commits nothing while N1 may still answer
latest reads.

*Reads in flight.* T is prepared and writes x, W writes w, both in the range, which passes from
N1 to N2 when the lease ends. G reads the latest x and w at N1: from memory, after a wait
for T; or from the store, which it reaches some time after the lease was checked. S reads both at
its read timestamp, at N1 or at N2; at N1 its lease is checked when it arrives and never again;
N2 serves it as soon as it has opened its epoch and loaded the intents. Promise: strict
serializability.

*A move.* A mover copies a range to another store, fences the source, copies what was missing
and flips the descriptor, which may arrive late. N3 may take the source over in between.
Promise: the store that the descriptor names holds every acknowledged commit.

Bounds: a lease of three ticks and seven ticks in all, two renewals; two writers and two
readers; one move and one takeover.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import History, Judge, Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    RENEWAL_COMPARES_RANGE = "a renewal looks at the node's session, not at the range's key"
    COUNTED_FROM_SENDING = "the holder counts its lease from the answer to its renewal"
    SUCCESSOR_WAITS = "a successor that finds the key gone commits at once"
    WAIT_FROM_TAKING = "the wait is counted from before the range's key was changed"
    RELEASE_AFTER_LAST_READ = "a release is recorded while reads still go on"
    RELEASE_AFTER_WAIT = "a successor that still waits may release, and whoever follows need not"
    HOLDER_STOPS_EARLY = "the holder leaves no margin for its clock"
    SUCCESSOR_WAITS_LONGER = "the successor leaves no margin for its clock"
    CLOCK_COUNTS_SUSPENSION = "the holder's clock stops while its host is suspended"
    CHECKED_AFTER_WAIT = "a latest read checks the lease before its wait only"
    STORE_READ_AT_TIMESTAMP = "a latest read of the store takes whatever is newest there"
    INTENTS_LOADED_FIRST = "a new leaseholder serves reads before it has loaded the intents"
    MOVE_FENCES_FIRST = "a mover copies the rest, and only then fences the source"
    FLIP_COMPARES_EPOCH = "the flip of a descriptor compares the generation only"


TICKS = 7
LEASE = 3
MARGIN = 1
RENEWALS = 2


class Key(StrEnum):
    """Whom the range's key in the coordinator names."""

    HELD = "N1"
    RELEASED = "N1, which released it"
    TAKEN = "N2"


class Renewal(StrEnum):
    """Where a renewal is."""

    NONE = "none"
    SENT = "sent"
    GRANTED = "granted"


class Succession(NamedTuple):
    """Holder and successor; times of N1 and N2 are by their own clocks."""

    now: int = 0
    behind: int = 0
    """How far N1's clock is behind."""
    ahead: int = 0
    """How far N2's clock is ahead."""
    suspended: bool = False
    key: Key = Key.HELD
    renewal: Renewal = Renewal.NONE
    sent_at: int = 0
    renewals: int = 0
    until: int = LEASE - MARGIN
    serving: bool = True
    waits_from: int | None = None
    """When N2 began to wait; set when it makes up its mind, and again when it has the key."""
    unheld: bool = False
    """N2 found the release of N1 itself."""
    committed: bool = False


def succession_steps(state: Succession, without: Rule | None) -> Steps[Succession]:
    """Everything that can happen next to holder and successor."""
    if state.now < TICKS:
        yield f"it is {state.now + 1}", state._replace(now=state.now + 1)
    if not state.behind:
        yield "N1's clock falls behind", state._replace(behind=1)
    if not state.ahead:
        yield "N2's clock runs ahead", state._replace(ahead=1)
    if not state.suspended and state.now + 2 <= TICKS:
        stops = 2 if without is Rule.CLOCK_COUNTS_SUSPENSION else 0
        yield (
            "the host of N1 is suspended for two ticks",
            state._replace(now=state.now + 2, behind=state.behind + stops, suspended=True),
        )
    yield from _renews(state, without)
    if state.key is Key.HELD and state.serving:
        keeps_on = without is Rule.RELEASE_AFTER_LAST_READ
        yield "N1 records its release", state._replace(key=Key.RELEASED, serving=keeps_on)
    yield from _succeeds(state, without)


def _renews(state: Succession, without: Rule | None) -> Steps[Succession]:
    clock = state.now - state.behind
    margin = 0 if without is Rule.HOLDER_STOPS_EARLY else MARGIN
    if state.renewal is Renewal.NONE and state.serving and state.renewals < RENEWALS:
        sent = state._replace(renewal=Renewal.SENT, sent_at=clock, renewals=state.renewals + 1)
        yield "N1 sends a renewal", sent
    elif state.renewal is Renewal.SENT:
        if state.key is Key.HELD or without is Rule.RENEWAL_COMPARES_RANGE:
            yield "the renewal is granted", state._replace(renewal=Renewal.GRANTED)
        else:
            yield (
                "the renewal is refused: N1 stops",
                state._replace(renewal=Renewal.NONE, serving=False),
            )
    elif state.renewal is Renewal.GRANTED:
        begin = clock if without is Rule.COUNTED_FROM_SENDING else state.sent_at
        until = begin + LEASE - margin
        yield (
            f"N1 hears of it: its lease runs until {until}",
            state._replace(renewal=Renewal.NONE, sent_at=0, until=max(state.until, until)),
        )


def _succeeds(state: Succession, without: Rule | None) -> Steps[Succession]:
    clock = state.now + state.ahead
    if state.key is not Key.TAKEN:
        if state.waits_from is None:
            yield "N2 makes up its mind to take the range", state._replace(waits_from=clock)
        else:
            early = without is Rule.WAIT_FROM_TAKING
            yield (
                "N2 takes the range's key and opens its epoch",
                state._replace(
                    key=Key.TAKEN,
                    waits_from=state.waits_from if early else clock,
                    unheld=state.key is Key.RELEASED,
                ),
            )
    elif not state.committed and state.waits_from is not None:
        margin = 0 if without is Rule.SUCCESSOR_WAITS_LONGER else MARGIN
        over = clock >= state.waits_from + LEASE + margin
        if over or state.unheld or without is Rule.SUCCESSOR_WAITS:
            yield "N2 commits, and answers", state._replace(committed=True)
        elif without is Rule.RELEASE_AFTER_WAIT:
            yield (
                "N2 releases; N3 takes the range, commits, and answers",
                state._replace(committed=True),
            )


def succession_wrong(state: Succession) -> str:
    """The promise that is broken."""
    if state.committed and state.serving and state.now - state.behind < state.until:
        return "N2 has committed, and N1 still believes in its lease: a stale read"
    return ""


class Read(NamedTuple):
    """A reader on its way."""

    step: str = "new"
    at: int = 0
    """The timestamp of a snapshot reader, or at which a latest read will read the store."""


class Flight(NamedTuple):
    """Reads in flight while the range passes from N1 to N2."""

    clock: int = 0
    leased: bool = True
    opened: bool = False
    prepared_at: str = ""
    """Who knows of T's lock: the holder that prepared it, and the successor once it has opened."""
    decided: int = 0
    resolved: bool = False
    """N2 has applied T in the store."""
    written: int = 0
    """The commit timestamp of W."""
    latest: Read = Read()
    snapshot: Read = Read()
    history: History = History()


_JUDGE = Judge({"T": {"x": 1}, "W": {"w": 1}})


def flight_steps(state: Flight, without: Rule | None) -> Steps[Flight]:
    """Everything that can happen next to reads in flight."""
    if state.leased:
        yield "the lease of N1 ends", state._replace(leased=False)
    if not state.opened:
        yield "N2 opens its epoch", state._replace(opened=True)
    if not state.prepared_at:
        begun = state._replace(history=state.history.begin("T"))
        if state.leased and not state.opened:
            yield "T is prepared at N1", begun._replace(prepared_at="N1")
        if state.opened and not state.leased:
            yield "T is prepared at N2", begun._replace(prepared_at="N2")
    elif not state.decided:
        at = state.clock + 1
        yield (
            f"T is decided at C={at}, and answered",
            state._replace(clock=at, decided=at, history=state.history.answer("T")),
        )
    elif not state.resolved and state.opened:
        yield "N2 applies T", state._replace(resolved=True)
    if not state.written and state.opened and not state.leased:
        at = state.clock + 1
        yield (
            f"W commits at N2 at C={at}, and is answered",
            state._replace(clock=at, written=at, history=state.history.begin("W").answer("W")),
        )
    yield from _latest(state, without)
    yield from _snapshot(state, without)


def _latest(state: Flight, without: Rule | None) -> Steps[Flight]:
    """G arrives at N1 while its lease runs, and reads from memory or from the store."""
    read = state.latest
    if read.step == "new" and state.leased:
        begun = state._replace(history=state.history.begin("G"))
        if state.prepared_at == "N1":
            waits = begun._replace(latest=Read("waits"))
            yield "G arrives at N1 under its lease, and waits for T", waits
        else:
            asks = begun._replace(latest=Read("asks the store", state.clock))
            yield f"G arrives at N1 under its lease, to read the store at {state.clock}", asks
    elif read.step == "waits" and state.decided:
        if state.leased or without is Rule.CHECKED_AFTER_WAIT:
            yield _answered(state, "G", "N1's memory", x=1, w=0)
        else:
            yield (
                "G finds the lease over, and goes elsewhere",
                state._replace(latest=Read("ended"), history=state.history.refuse("G")),
            )
    elif read.step == "asks the store":
        newest = without is Rule.STORE_READ_AT_TIMESTAMP
        at = state.clock if newest else read.at
        x = int(state.resolved and state.decided <= at)
        yield _answered(state, "G", "the store", x=x, w=int(0 < state.written <= at))


def _snapshot(state: Flight, without: Rule | None) -> Steps[Flight]:
    """S reads at R: at N1, having arrived under its lease, or at N2, from its opening on."""
    read = state.snapshot
    if read.step == "new":
        at = state.clock + 1
        yield (
            f"S draws R={at}",
            state._replace(clock=at, snapshot=Read("drawn", at), history=state.history.begin("S")),
        )
        return
    seen = {"x": int(0 < state.decided <= read.at), "w": int(0 < state.written <= read.at)}
    pending = bool(state.prepared_at) and not state.decided
    if read.step == "drawn" and state.leased:
        arrived = read._replace(step="at N1, which knows T" if pending else "at N1")
        yield "S arrives at N1 under its lease", state._replace(snapshot=arrived)
    elif read.step == "at N1" or (read.step == "at N1, which knows T" and not pending):
        # What N2 commits is above R, which was drawn before; N1's memory has all the rest.
        yield _answered(state, "S", "N1's memory", x=seen["x"], w=0)
    if read.step == "drawn" and state.opened:
        if without is Rule.INTENTS_LOADED_FIRST:
            x = int(state.resolved and state.decided <= read.at)
            yield _answered(state, "S", "N2", x=x, w=seen["w"])
        elif not pending:
            yield _answered(state, "S", "N2", x=seen["x"], w=seen["w"])


def _answered(state: Flight, who: str, where: str, *, x: int, w: int) -> tuple[str, Flight]:
    after = state._replace(history=state.history.answer(who, {"x": x, "w": w}))
    ended = Read("ended")
    after = after._replace(latest=ended) if who == "G" else after._replace(snapshot=ended)
    return f"{who} reads x={x} w={w} from {where}", after


class Store(NamedTuple):
    """A store's part of the range that is moved."""

    epoch: int = 0
    commits: int = 0


class Move(NamedTuple):
    """A range, its two stores, its descriptor, a mover and who takes over."""

    source: Store = Store(epoch=1)
    target: Store = Store()
    at_target: bool = False
    """Which store the descriptor names."""
    generation: int = 1
    epoch: int = 1
    """The epoch last allotted in the descriptor."""
    mover: str = "copying"
    mover_epoch: int = 0
    """The epoch the mover was allotted, under which it fences."""
    holder_epoch: int = 1
    """The epoch of whoever serves the range, first N1, then N3."""
    taken: str = ""
    acknowledged: int = 0


def move_steps(state: Move, without: Rule | None) -> Steps[Move]:
    """Everything that can happen next to a range that is moved."""
    here = state.source
    if state.holder_epoch == here.epoch and state.acknowledged < 2:
        after = here._replace(commits=here.commits + 1)
        committed = state._replace(source=after, acknowledged=state.acknowledged + 1)
        yield f"epoch {state.holder_epoch} commits in the source, and answers", committed
    if not state.taken:
        allotted = state._replace(taken="allotted", epoch=state.epoch + 1)
        if not state.at_target:
            yield f"N3 is allotted epoch {allotted.epoch}", allotted
    elif state.taken == "allotted" and not state.at_target and state.epoch > here.epoch:
        # The descriptor still names the source, or N3 has read it while it did.
        opened = state._replace(source=here._replace(epoch=state.epoch), holder_epoch=state.epoch)
        yield f"N3 opens the source at epoch {state.epoch}", opened._replace(taken="opened")
    yield from _moves(state, without)


def _moves(state: Move, without: Rule | None) -> Steps[Move]:
    copied = state._replace(target=Store(state.mover_epoch, state.source.commits))
    fences_late = without is Rule.MOVE_FENCES_FIRST
    if state.mover == "copying":
        allotted = state._replace(epoch=state.epoch + 1, mover_epoch=state.epoch + 1)
        yield f"the mover is allotted epoch {allotted.epoch}", allotted._replace(mover="allotted")
    elif state.mover == "allotted" and fences_late:
        yield "the mover copies the rest", copied._replace(mover="copied")
    elif state.mover in {"allotted", "copied"} and state.mover_epoch > state.source.epoch:
        fenced = state._replace(source=state.source._replace(epoch=state.mover_epoch))
        yield "the mover fences the source", fenced._replace(mover="fenced")
    elif state.mover == "fenced":
        if fences_late:
            yield "the flip is sent", state._replace(mover="flipping")
        else:
            yield "the mover copies the rest, and sends the flip", copied._replace(mover="flipping")
    elif state.mover == "flipping":
        same_epoch = state.epoch == state.mover_epoch or without is Rule.FLIP_COMPARES_EPOCH
        if state.generation == 1 and same_epoch:
            yield (
                "the flip arrives: the descriptor names the target",
                state._replace(mover="done", at_target=True, generation=2),
            )
        else:
            yield "the flip arrives, and is refused", state._replace(mover="done")


def move_wrong(state: Move) -> str:
    """The promise that is broken."""
    if state.at_target and state.target.commits < state.acknowledged:
        return "the descriptor names the target, which lacks an acknowledged commit"
    return ""


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="holder and successor",
            start=Succession(),
            steps=succession_steps,
            wrong=succession_wrong,
            needs=(
                Rule.RENEWAL_COMPARES_RANGE,
                Rule.COUNTED_FROM_SENDING,
                Rule.SUCCESSOR_WAITS,
                Rule.WAIT_FROM_TAKING,
                Rule.RELEASE_AFTER_LAST_READ,
                Rule.RELEASE_AFTER_WAIT,
                Rule.HOLDER_STOPS_EARLY,
                Rule.SUCCESSOR_WAITS_LONGER,
                Rule.CLOCK_COUNTS_SUSPENSION,
            ),
        ),
        Scenario(
            name="reads in flight",
            start=Flight(),
            steps=flight_steps,
            wrong=lambda state: _JUDGE.wrong(state.history),
            needs=(
                Rule.CHECKED_AFTER_WAIT,
                Rule.STORE_READ_AT_TIMESTAMP,
                Rule.INTENTS_LOADED_FIRST,
            ),
        ),
        Scenario(
            name="a move",
            start=Move(),
            steps=move_steps,
            wrong=move_wrong,
            needs=(Rule.MOVE_FENCES_FIRST, Rule.FLIP_COMPARES_EPOCH),
        ),
    ),
)
