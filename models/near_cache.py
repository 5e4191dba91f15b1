"""The near cache: leases, invalidations, takeover, transfer, restart, broken connections.

    python -m models near_cache

Two scenarios, one cached key each.

*One client and a changing holder.* The client asks N1 for a cache lease, or to renew it; N1 answers
requests for the value (a fill) and tracks what it has answered. A commit locks the key,
invalidates it, waits for the acknowledgement or for the end of the lease, draws its timestamp, and
is answered. Replies are delayed, and overtaken by invalidations. The connection may break, which
the client notices late. The range may pass to N2 when N1's own lease has ended or because N1
hands it over; or N1's process is killed and restarted. Promise: while its lease runs the client
has no value that an answered commit replaced; and no commit waits longer than one lease for a
client that does not acknowledge.

*A client that commits what it caches.* It drops the key, and its commit says so instead of being
asked to: it acknowledges the fills that were asked for before it was sent, over the connection it
was sent over, and no others; those still out are discarded. The commit may be refused, and a
copy of it arrive long after. Other threads of the client fill the key; the connection may be
replaced by another; W commits the same key. Promise: no entry of the client is older than an
answered commit.

Bounds: one key, one commit, one client; four ticks, leases of two; one change of holder. The
margin for clocks that drift is that of `leases.py`, and left out here.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    WITHIN_RANGE_LEASE = "a cache lease may outlast the holder's own lease of the range"
    OF_ONE_RANGE = "N1 renews the lease of a client for a range it no longer holds"
    COUNTED_FROM_ASKING = "the client counts its lease from the answer"
    NEW_ONCE_LAPSED = "a lease that has lapsed is renewed, and what was cached is kept"
    NOT_WHILE_UNACKNOWLEDGED = "a lease is renewed while an invalidation is unacknowledged"
    FILLS_DISCARDED = "a fill that an invalidation overtook is installed"
    BREAK_REMEMBERED = "the holder forgets what it tracked when the connection breaks"
    UNTRACKED_AFTER_INVALIDATING = "tracking is dropped for space without invalidating"
    TRANSFER_WAITS = "a range is handed over while cache leases run"
    RESTART_WAITS = "a restarted process commits at once"
    OWN_COMMIT_SPOILS_FILLS = "a fill that is out when the client sends its commit is installed"
    SPEAKS_FOR_EARLIER_FILLS = "a commit acknowledges whatever its client cached, however late"
    SPEAKS_FOR_CONNECTION = "a commit acknowledges for all connections of its client"


TICKS = 4
RANGE_LEASE = 2
CACHE_LEASE = 2


class Commit(StrEnum):
    """How far the commit has come."""

    NEW = "new"
    SENT = "sent"
    LOCKED = "locked"
    DRAWN = "drawn"
    ANSWERED = "answered"


class Grant(NamedTuple):
    """The answer to a request for a cache lease, on its way."""

    asked_at: int
    length: int
    fresh: bool
    """A new lease: what was cached under an older one is void."""


class Holding(NamedTuple):
    """One client and the range's holder."""

    now: int = 0
    holder: str = "N1"
    range_until: int = RANGE_LEASE
    """The end of N1's own lease."""
    changed: str = ""
    """What became of N1's hold on the range."""
    waits_until: int = 0
    """Before which no commit draws its timestamp."""
    connected: bool = True
    """Whether the connection works; if not, the client has yet to notice."""
    asked_at: int | None = None
    grant: Grant | None = None
    client_until: int = 0
    server_until: int = 0
    tracked: bool = False
    fill: int | None = None
    """The version that the answer on its way holds."""
    overtaken: bool = False
    """An invalidation came while that answer was on its way."""
    entry: int | None = None
    """The version cached."""
    invalidating: bool = False
    commit: Commit = Commit.NEW
    invalidated_at: int = 0

    @property
    def n1_serves(self) -> bool:
        """Whether N1 may answer reads."""
        return self.holder == "N1" and self.now < self.range_until

    @property
    def version(self) -> int:
        """The version that reads find at the holder."""
        return int(self.commit is Commit.ANSWERED)


def holding_steps(state: Holding, without: Rule | None) -> Steps[Holding]:
    """Everything that can happen next to one client and the holder."""
    if state.now < TICKS:
        yield f"it is {state.now + 1}", state._replace(now=state.now + 1)
    if state.n1_serves and state.range_until < state.now + RANGE_LEASE:
        until = state.now + RANGE_LEASE
        yield f"N1 renews its lease of the range until {until}", state._replace(range_until=until)
    yield from _leases(state, without)
    yield from _fills(state, without)
    yield from _commits(state)
    if state.connected:
        broken = _disconnected(state)
        if without is Rule.BREAK_REMEMBERED:
            broken = broken._replace(tracked=False)
        yield "the connection breaks; the client has not noticed", broken
    else:
        yield (
            "the client notices, and drops everything",
            state._replace(connected=True, entry=None, client_until=0),
        )
    if not state.changed:
        yield from _changes(state, without)


def _leases(state: Holding, without: Rule | None) -> Steps[Holding]:
    if state.connected and state.asked_at is None and state.grant is None:
        yield "the client asks for a cache lease", state._replace(asked_at=state.now)
    elsewhere = state.changed == "handed over" and without is Rule.OF_ONE_RANGE
    busy = state.invalidating and without is not Rule.NOT_WHILE_UNACKNOWLEDGED
    if state.asked_at is not None and (state.n1_serves or elsewhere) and not busy:
        until = state.now + CACHE_LEASE
        if without is not Rule.WITHIN_RANGE_LEASE and not elsewhere:
            until = min(until, state.range_until)
        fresh = state.now >= state.server_until and without is not Rule.NEW_ONCE_LAPSED
        if elsewhere:
            fresh = False
        granted = state._replace(
            asked_at=None, grant=Grant(state.asked_at, until - state.now, fresh)
        )
        if not elsewhere:
            granted = granted._replace(server_until=max(until, state.server_until))
        if fresh:
            granted = granted._replace(tracked=False)
        yield f"N1 grants it until {until}{' anew' if fresh else ''}", granted
    if state.grant is not None:
        begin = state.now if without is Rule.COUNTED_FROM_ASKING else state.grant.asked_at
        until = begin + state.grant.length
        leased = state._replace(grant=None, client_until=max(until, state.client_until))
        if state.grant.fresh or (
            state.now >= state.client_until and without is not Rule.NEW_ONCE_LAPSED
        ):
            leased = leased._replace(entry=None, fill=None, overtaken=False)
        yield f"the client learns of its lease until {until}", leased


def _fills(state: Holding, without: Rule | None) -> Steps[Holding]:
    asks = state.fill is None and state.entry is None and state.now < state.client_until
    locked = state.commit is Commit.LOCKED
    if asks and state.connected and state.n1_serves and not locked:
        yield (
            f"N1 answers a fill with version {state.version}, and tracks it",
            state._replace(fill=state.version, tracked=True, overtaken=False),
        )
    if state.fill is not None:
        after = state._replace(fill=None, overtaken=False)
        if state.overtaken and without is not Rule.FILLS_DISCARDED:
            yield "the client discards the fill", after
        else:
            yield f"the client installs version {state.fill}", after._replace(entry=state.fill)
    if state.tracked and without is Rule.UNTRACKED_AFTER_INVALIDATING:
        yield "the holder forgets the key, for space", state._replace(tracked=False)


def _commits(state: Holding) -> Steps[Holding]:
    serves = state.n1_serves or state.holder == "N2"
    if state.commit is Commit.NEW and serves:
        yield "a commit locks the key", state._replace(commit=Commit.LOCKED)
    if state.commit is not Commit.LOCKED:
        return
    if state.tracked and state.connected and not state.invalidating:
        yield (
            "the holder sends an invalidation",
            state._replace(invalidating=True, invalidated_at=state.now),
        )
    if state.invalidating and state.connected:
        yield (
            "the client drops the key, and acknowledges",
            state._replace(
                entry=None, overtaken=state.fill is not None, invalidating=False, tracked=False
            ),
        )
    free = not state.tracked or state.now >= state.server_until
    if serves and free and state.now >= state.waits_until:
        yield (
            "the commit draws its timestamp, and is answered",
            state._replace(commit=Commit.ANSWERED, invalidating=False, tracked=False),
        )


def _disconnected(state: Holding) -> Holding:
    return state._replace(connected=False, asked_at=None, grant=None, fill=None, overtaken=False)


def _changes(state: Holding, without: Rule | None) -> Steps[Holding]:
    """The range gets another holder, or a holder without memory."""
    pending = Commit.NEW if state.commit is Commit.LOCKED else state.commit
    forgets = state._replace(tracked=False, invalidating=False, server_until=0, commit=pending)
    if state.now >= state.range_until:
        yield (
            "N1's lease has ended: N2 opens the range",
            forgets._replace(holder="N2", changed="taken over"),
        )
    if state.n1_serves:
        waits = 0 if without is Rule.TRANSFER_WAITS else state.server_until
        yield (
            "N1 hands the range over to N2",
            forgets._replace(holder="N2", changed="handed over", waits_until=waits),
        )
        waits = 0 if without is Rule.RESTART_WAITS else state.now + CACHE_LEASE
        yield (
            "N1's process is killed, and restarts",
            _disconnected(forgets)._replace(
                changed="restarted", waits_until=waits, range_until=state.now + RANGE_LEASE
            ),
        )


def holding_wrong(state: Holding) -> str:
    """The promise that is broken."""
    stale = state.entry is not None and state.entry < state.version
    if stale and state.now < state.client_until:
        return "the client serves what an answered commit has replaced"
    if state.invalidating and state.server_until > state.invalidated_at + CACHE_LEASE:
        return "the commit waits longer than a lease for a client that does not acknowledge"
    return ""


class Frame(StrEnum):
    """Where the original or the copy of the client's commit is."""

    UNSENT = "unsent"
    OUT = "out"
    ARRIVED = "arrived"


class Tracked(NamedTuple):
    """That the server remembers a fill: over which connection, and whether it was early."""

    connection: int
    early: bool
    """It was asked for before the client sent its commit."""


class Own(NamedTuple):
    """A client that commits what it caches, over connection 1 and then perhaps 2."""

    original: Frame = Frame.UNSENT
    copy: Frame = Frame.UNSENT
    own: Commit = Commit.NEW
    refused: bool = False
    other: Commit = Commit.NEW
    """W, somebody else's commit to the same key."""
    version: int = 0
    connection: int = 1
    entry: int | None = 0
    fill: int | None = None
    """The version that the answer on its way over the present connection holds."""
    spoiled: bool = False
    tracking: frozenset[Tracked] = frozenset({Tracked(1, early=True)})

    @property
    def out(self) -> bool:
        """Whether the client waits for the answer to its commit."""
        return (
            self.original is not Frame.UNSENT
            and not self.refused
            and (self.own is not Commit.ANSWERED)
        )


def own_steps(state: Own, without: Rule | None) -> Steps[Own]:
    """Everything that can happen next to a client that commits what it caches."""
    if state.original is Frame.UNSENT:
        spoils = state.fill is not None and without is not Rule.OWN_COMMIT_SPOILS_FILLS
        yield (
            "the client drops the key, and sends its commit, which the network copies",
            state._replace(original=Frame.OUT, copy=Frame.OUT, entry=None, spoiled=spoils),
        )
    if state.original is Frame.OUT:
        arrived = _acknowledged(state._replace(original=Frame.ARRIVED), without)
        yield "the commit arrives, and locks the key", arrived._replace(own=Commit.LOCKED)
        yield "the commit arrives, and is refused", arrived._replace(refused=True)
    elif state.copy is Frame.OUT and state.refused:
        copied = _acknowledged(state._replace(copy=Frame.ARRIVED), without)
        yield "the copy arrives, and is refused as well", copied
    yield from _own_commits(state)
    if state.connection == 1:
        yield (
            "connection 2 replaces connection 1: the cache is empty",
            state._replace(connection=2, entry=None, fill=None, spoiled=False),
        )
    yield from _own_fills(state, without)


def _acknowledged(state: Own, without: Rule | None) -> Own:
    """The server forgets what the commit says its client has dropped."""
    spoken_for = {Tracked(1, early=True)}
    if without is Rule.SPEAKS_FOR_EARLIER_FILLS:
        spoken_for.add(Tracked(1, early=False))
    elif without is Rule.SPEAKS_FOR_CONNECTION:
        spoken_for.add(Tracked(2, early=False))
    return state._replace(tracking=state.tracking - spoken_for)


def _own_commits(state: Own) -> Steps[Own]:
    """The client's commit and W, once they have locked the key."""
    locked = Commit.LOCKED in {state.own, state.other}
    if state.other is Commit.NEW and not locked:
        yield "W locks the key", state._replace(other=Commit.LOCKED)
    if not locked:
        return
    for tracked in sorted(state.tracking):
        forgotten = state._replace(tracking=state.tracking - {tracked})
        if tracked.connection != state.connection:
            yield f"the lease of connection {tracked.connection} runs out", forgotten
        else:
            yield (
                "the client is told, drops the key, and acknowledges",
                forgotten._replace(entry=None, spoiled=state.fill is not None),
            )
    if not state.tracking:
        after = state._replace(version=state.version + 1)
        if state.own is Commit.LOCKED:
            yield "the client's commit is answered", after._replace(own=Commit.ANSWERED)
        else:
            yield "W is answered", after._replace(other=Commit.ANSWERED)


def _own_fills(state: Own, without: Rule | None) -> Steps[Own]:
    """Another thread of the client asks for the key."""
    # To fill nothing while a commit of one's own is out does not make up for that rule.
    held_back = state.out and without is Rule.SPEAKS_FOR_EARLIER_FILLS
    locked = Commit.LOCKED in {state.own, state.other}
    if state.entry is None and state.fill is None and not locked and not held_back:
        tracked = Tracked(state.connection, early=state.original is Frame.UNSENT)
        yield (
            f"a fill over connection {state.connection} is answered",
            state._replace(fill=state.version, tracking=state.tracking | {tracked}),
        )
    if state.fill is not None:
        after = state._replace(fill=None, spoiled=False)
        if state.spoiled:
            yield "the client discards the fill", after
        else:
            yield f"the client installs version {state.fill}", after._replace(entry=state.fill)


def own_wrong(state: Own) -> str:
    """The promise that is broken."""
    if state.entry is not None and state.entry < state.version:
        return f"the client finds version {state.entry} in its cache, and {state.version} is there"
    return ""


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="one client and a changing holder",
            start=Holding(),
            steps=holding_steps,
            wrong=holding_wrong,
            needs=(
                Rule.WITHIN_RANGE_LEASE,
                Rule.OF_ONE_RANGE,
                Rule.COUNTED_FROM_ASKING,
                Rule.NEW_ONCE_LAPSED,
                Rule.NOT_WHILE_UNACKNOWLEDGED,
                Rule.FILLS_DISCARDED,
                Rule.BREAK_REMEMBERED,
                Rule.UNTRACKED_AFTER_INVALIDATING,
                Rule.TRANSFER_WAITS,
                Rule.RESTART_WAITS,
            ),
        ),
        Scenario(
            name="a client that commits what it caches",
            start=Own(),
            steps=own_steps,
            wrong=own_wrong,
            needs=(
                Rule.OWN_COMMIT_SPOILS_FILLS,
                Rule.SPEAKS_FOR_EARLIER_FILLS,
                Rule.SPEAKS_FOR_CONNECTION,
            ),
        ),
    ),
)
