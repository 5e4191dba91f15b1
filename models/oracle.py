"""The timestamp oracle: its ceiling, its lease and its successors, exhaustively.

    python -m models oracle

Three scenarios.

*Three terms.* O1, O2 and O3 hold the role in turn. Each issues timestamps below the ceiling it
knows to be durable, and sends a write that raises it when it has none left; the write
lands in the coordinator at any time, also after the term. Promise: timestamps only rise.

*A lease and its clock.* O1's lease ends, O2 succeeds it; O1 checks its lease by its own clock,
which may stop while the host is suspended. W commits, then S begins; both ask whichever oracle
they believe in. Promise: S, which began after W was answered, sees it; no commit appears at or
below a read timestamp that was served already.

*Lost data.* The coordinator loses all it knew, ceiling included, after timestamps were issued, some
to commits and some to readers, which no store knows of. The oracle starts anew on a host whose
clock may be behind. Promise: no commit lies at or below one in a store; nor at or below a
read timestamp that was served, if the clock was right.

Bounds: three terms, nine timestamps; two terms, one commit and one reader; one loss.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    CEILING_COMPARES_HOLDER = "a ceiling write does not compare the holder of the role"
    CEILING_DURABLE_FIRST = "timestamps are issued below a ceiling not yet durable"
    STARTS_ABOVE_CEILING = "a successor starts where it believes the last one to have been"
    LEASE_CHECKED_ON_ARRIVAL = "the lease is checked before a request arrives, not after"
    CLOCK_COUNTS_SUSPENSION = "the clock of the lease stops while the host is suspended"
    STORES_ASKED_AFTER_LOSS = "after loss of the coordinator's data the stores are not asked"
    LEAD_ADDED_AFTER_LOSS = "after that loss the oracle starts without a ceiling's lead over clocks"


BLOCK = 3
TIMESTAMPS = 9
TERMS = 3


class Terms(NamedTuple):
    """Three terms of the role."""

    ceiling: int = BLOCK
    """In the coordinator."""
    term: int = 0
    issued: tuple[int, ...] = (0,) * TERMS
    """The last timestamp issued in each term."""
    known: tuple[int, ...] = (BLOCK, 0, 0)
    """The ceiling each believes in."""
    sent: tuple[int, ...] = (0,) * TERMS
    """The ceiling write of each that has not landed, 0 for none."""
    last: int = 0
    wrong: str = ""


def term_steps(state: Terms, without: Rule | None) -> Steps[Terms]:
    """Everything that can happen next in three terms."""
    term = state.term
    mine = state.issued[term]
    if mine < state.known[term] and mine < TIMESTAMPS:
        at = mine + 1
        wrong = f"{at} is issued after {state.last}" if at <= state.last else ""
        yield (
            f"O{term + 1} issues {at}",
            state._replace(
                issued=_put(state.issued, term, at), last=max(at, state.last), wrong=wrong
            ),
        )
    elif not state.sent[term] and mine < TIMESTAMPS:
        raised = mine + BLOCK
        sent = state._replace(sent=_put(state.sent, term, raised))
        if without is Rule.CEILING_DURABLE_FIRST:
            sent = sent._replace(known=_put(state.known, term, raised))
        yield f"O{term + 1} sends ceiling {raised}", sent
    for sender, raised in enumerate(state.sent):
        if not raised:
            continue
        landed = state._replace(sent=_put(state.sent, sender, 0))
        if sender != term and without is not Rule.CEILING_COMPARES_HOLDER:
            yield f"the ceiling {raised} of O{sender + 1} is refused", landed
        else:
            yield (
                f"the ceiling {raised} of O{sender + 1} lands",
                landed._replace(ceiling=raised, known=_put(state.known, sender, raised)),
            )
    if term + 1 < TERMS:
        start = mine if without is Rule.STARTS_ABOVE_CEILING else state.ceiling
        # What the successor believes the last one to have issued lags behind.
        start = max(0, start - 1) if without is Rule.STARTS_ABOVE_CEILING else start
        raised = max(state.ceiling, start + BLOCK)
        yield (
            f"O{term + 2} succeeds, starts above {start} and raises the ceiling to {raised}",
            (
                state._replace(
                    ceiling=raised,
                    term=term + 1,
                    issued=_put(state.issued, term + 1, start),
                    known=_put(state.known, term + 1, raised),
                )
            ),
        )


def _put(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])


class Commit(StrEnum):
    """How far W has come."""

    NEW = "new"
    SENT = "sent"
    ANSWERED = "answered"


class Lease(NamedTuple):
    """One succession, one commit and one reader."""

    expired: bool = False
    succeeded: bool = False
    checked: bool = False
    """O1 has found its lease running, for whatever request comes next."""
    first: int = 0
    """The last timestamp O1 issued; its ceiling is BLOCK."""
    second: int = BLOCK
    """The last timestamp O2 issued."""
    commit: Commit = Commit.NEW
    committed: int = 0
    reader: int = 0
    """S's read timestamp."""
    owed: bool = False
    """S began after W was answered."""
    begun: bool = False
    saw: bool | None = None


def lease_steps(state: Lease, without: Rule | None) -> Steps[Lease]:
    """Everything that can happen next in one succession."""
    if not state.expired:
        yield "O1's lease ends", state._replace(expired=True)
    elif not state.succeeded:
        yield f"O2 succeeds, and starts above {BLOCK}", state._replace(succeeded=True)
    if without is Rule.LEASE_CHECKED_ON_ARRIVAL and not state.expired and not state.checked:
        yield "O1 finds its lease running", state._replace(checked=True)
    if state.commit is Commit.NEW:
        yield "W holds its locks", state._replace(commit=Commit.SENT)
    if not state.begun:
        owed = state.commit is Commit.ANSWERED
        yield "S begins", state._replace(begun=True, owed=owed)
    for oracle, at, after in _issues(state, without):
        if state.commit is Commit.SENT:
            yield (
                f"{oracle} issues C={at} to W, which is answered",
                after._replace(commit=Commit.ANSWERED, committed=at),
            )
        if state.begun and not state.reader:
            yield f"{oracle} issues R={at} to S", after._replace(reader=at)
    if state.reader and state.saw is None and state.commit is not Commit.SENT:
        saw = 0 < state.committed <= state.reader
        yield f"S reads {'what W wrote' if saw else 'the old value'}", state._replace(saw=saw)


def _issues(state: Lease, without: Rule | None) -> list[tuple[str, int, Lease]]:
    """Who may issue a timestamp to a request that has arrived now."""
    found = []
    running = not state.expired or without is Rule.CLOCK_COUNTS_SUSPENSION or state.checked
    if running and state.first < BLOCK:
        at = state.first + 1
        found.append(("O1", at, state._replace(first=at, checked=False)))
    if state.succeeded and state.second < 2 * BLOCK:
        at = state.second + 1
        found.append(("O2", at, state._replace(second=at)))
    return found


def lease_wrong(state: Lease) -> str:
    """The promise that is broken."""
    if state.saw is False and state.owed:
        return "S began after W was answered, and does not see it"
    if state.saw is False and 0 < state.committed <= state.reader:
        return f"W committed at {state.committed}, below what S had read at {state.reader}"
    return ""


CLOCK = 1
LEAD = 2
"""How far a ceiling, and so a timestamp, may be ahead of the clock."""


class Loss(NamedTuple):
    """A coordinator that loses its data."""

    issued: int = 0
    stored: int = 0
    """The highest commit timestamp in any store."""
    served: int = 0
    """The highest read timestamp at which somebody has read; no store knows of it."""
    slow: bool = False
    """The clock of the oracle's new host is behind."""
    lost: bool = False
    wrong: str = ""


def loss_steps(state: Loss, without: Rule | None) -> Steps[Loss]:
    """Everything that can happen next around a loss."""
    at = state.issued + 1
    if state.lost or at <= CLOCK + LEAD:
        wrong = f"a commit at {at} follows one at {state.stored}" if at <= state.stored else ""
        if at <= state.served and not state.slow:
            wrong = wrong or f"a commit at {at} appears below what was read at {state.served}"
        if at < TIMESTAMPS:
            yield f"a commit is stored at {at}", state._replace(issued=at, stored=at, wrong=wrong)
            yield (
                f"somebody reads at R={at}",
                state._replace(issued=at, served=max(at, state.served)),
            )
    if not state.lost:
        for slow in (False, True):
            start = 0 if slow else CLOCK
            if without is not Rule.LEAD_ADDED_AFTER_LOSS:
                start += LEAD
            if without is not Rule.STORES_ASKED_AFTER_LOSS:
                start = max(start, state.stored)
            host = "a host whose clock is behind" if slow else "another host"
            yield (
                f"all data is lost; the oracle starts above {start} on {host}",
                state._replace(issued=start, lost=True, slow=slow),
            )


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="three terms",
            start=Terms(),
            steps=term_steps,
            wrong=lambda state: state.wrong,
            needs=(
                Rule.CEILING_COMPARES_HOLDER,
                Rule.CEILING_DURABLE_FIRST,
                Rule.STARTS_ABOVE_CEILING,
            ),
        ),
        Scenario(
            name="a lease and its clock",
            start=Lease(),
            steps=lease_steps,
            wrong=lease_wrong,
            needs=(Rule.LEASE_CHECKED_ON_ARRIVAL, Rule.CLOCK_COUNTS_SUSPENSION),
        ),
        Scenario(
            name="lost data",
            start=Loss(),
            steps=loss_steps,
            wrong=lambda state: state.wrong,
            needs=(Rule.STORES_ASKED_AFTER_LOSS, Rule.LEAD_ADDED_AFTER_LOSS),
        ),
    ),
)
