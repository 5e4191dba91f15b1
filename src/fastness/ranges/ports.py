"""What a leaseholder asks of the shell it runs in, and what the shell calls back.

Every call returns at once and calls nothing of the leaseholder back before it has returned;
answers arrive later through the method named beside each.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.ranges.identity import TransactionId
from fastness.ranges.requests import Interval, Invalidate, RangeAnswer, Scan
from fastness.storage.contract import Batch, Item

StoreFound = tuple[list[bytes | None], list[Item], Timestamp]
"""Cells, entries, and the prune horizon looked at after them."""


class FoundAtOnce(NamedTuple):
    """What fits an answer; `cut` says that there was no room for more entries."""

    cells: list[bytes | None]
    entries: list[Item]
    prune_horizon: Timestamp
    cut: bool


class Caller(NamedTuple):
    """Who asked, and the number its answer goes to."""

    address: str
    number: int


class Ports(Protocol):
    """The shell of one leaseholder."""

    def answer(self, caller: Caller, body: RangeAnswer) -> None:
        """Answer a request."""
        ...

    def refuse(self, caller: Caller, error: FastnessError) -> None:
        """Answer a request with an error (a `RangeMoved` gets the shell's newest descriptors)."""
        ...

    def draw(self, count: int) -> None:
        """Ask the oracle for a block; `Leaseholder.drawn(first)` brings it. Asked again until then.

        The request is sent after this call, never answered from a block drawn before.
        """
        ...

    def observe(self) -> None:
        """Ask the oracle for a timestamp nobody uses, so that `issued` follows the time."""
        ...

    def apply(self, batch: Batch) -> None:
        """Write a batch; `Leaseholder.applied(number)` once it is durable.

        A batch in doubt is settled by the shell: `Leaseholder.lost(number)` says it never
        happened. Where the range was fenced the shell retires the leaseholder (`retire`).
        """
        ...

    def read_at_once(
        self, keys: list[bytes], scan: Scan | None, at: Timestamp
    ) -> FoundAtOnce | FastnessError | None:
        """What the store holds, where it can be read without waiting; `None`: use `read`.

        No more than an answer has room for: perhaps fewer cells and entries than asked for.
        """
        ...

    def read(self, token: int, keys: list[bytes], scan: Scan | None, at: Timestamp) -> None:
        """Read the store; `Leaseholder.read_done(token, ...)` or `read_failed(token, error)`."""
        ...

    def write_refusal(self) -> FastnessError | None:
        """Why the store takes no writes for now: new commits are refused with it."""
        ...

    def may_cache(self) -> bool:
        """Whether a cache lease may be granted: a successor will know to wait it out."""
        ...

    def ask(self, identity: TransactionId, deadline: Timestamp) -> None:
        """Ask the anchor of a transaction; `Leaseholder.told(identity, timestamp)` once decided.

        An answer that is not a decision is dropped: the leaseholder asks again on a later tick.
        """
        ...

    def resolve(self, identity: TransactionId, timestamp: Timestamp, span: Interval) -> None:
        """Tell every range within `span`; `Leaseholder.resolved(identity, part)` for each answer.

        What is not answered is dropped: the leaseholder asks again on a later tick.
        """
        ...

    def invalidate(self, client: str, notice: Invalidate) -> None:
        """Send a client an invalidation, best effort; repeated on ticks until acknowledged."""
        ...

    def lease_left_ms(self) -> float:
        """How long this node may still serve reads of the range, by its own clock; 0: no more."""
        ...

    def boot_ns(self) -> int:
        """The process's boot clock."""
        ...

    def issued(self) -> Timestamp:
        """The highest timestamp this process knows to have been issued."""
        ...

    def alarm(self, what: str) -> None:
        """Something happened that no correct system does; it was refused. Tell an operator."""
        ...

    def note(self, event: str) -> None:
        """A line for whoever traces this process."""
        ...
