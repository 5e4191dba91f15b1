"""Who may ask a node for what, and who hears how long it took: a port for what stands around it.

A node by itself lets everybody ask everything: in the simulated world there is nobody else. A
server puts a gate of its own here, which knows what each sender was granted.
"""

from __future__ import annotations

from typing import Protocol

from fastness.encoding.intervals import KeyInterval
from fastness.errors import FastnessError
from fastness.ranges.requests import RangeRequest
from fastness.runtime.process import Address
from fastness.wire.figures import TokenUse
from fastness.wire.messages import Frame


class Work(Protocol):
    """One request that a range works on, for whoever keeps account of it."""

    def ended(self, error: FastnessError | None) -> None:
        """It is being answered, or refused with `error`. Called once, for each that began."""
        ...


class Gate(Protocol):
    """Called for every frame, on the node's loop: it answers at once and never raises."""

    def refusal(self, sender: Address, frame: Frame, size: int) -> FastnessError | None:
        """Why this call or notice of `size` bytes is not acted on; `None` lets it in."""
        ...

    def believes(self, sender: Address) -> bool:
        """Whether to take the sender's word for which timestamps were issued.

        To doubt is always harmless (`Post.hear`); to believe a stranger is not.
        """
        ...

    def began(self, sender: Address, request: RangeRequest) -> Work:
        """A range begins to work on a request; what this answers is told of its end."""
        ...

    def sent(self, to: Address, size: int) -> None:
        """A frame of `size` bytes is on its way."""
        ...

    def use(self, sender: Address) -> TokenUse | None:
        """What the sender's token took, `None` where no account is kept."""
        ...

    def space_of(self, sender: Address) -> KeyInterval | None:
        """The keys that the sender is bound to, `None` for all: it is told of no others."""
        ...

    def sees_store(self, sender: Address) -> bool:
        """Whether the sender may know how much the store holds: it reaches all keys."""
        ...


class _Unwatched:
    """Work of which no account is kept."""

    __slots__ = ()

    def ended(self, _error: FastnessError | None) -> None:
        """Nothing was kept."""


_UNWATCHED = _Unwatched()


class OpenGate:
    """Lets everybody in and counts nothing."""

    __slots__ = ()

    def refusal(self, _sender: Address, _frame: Frame, _size: int) -> FastnessError | None:
        """Nobody is refused."""
        return None

    def believes(self, _sender: Address) -> bool:
        """Everybody is believed."""
        return True

    def began(self, _sender: Address, _request: RangeRequest) -> Work:
        """Nothing is kept."""
        return _UNWATCHED

    def sent(self, _to: Address, _size: int) -> None:
        """Nothing is counted."""

    def use(self, _sender: Address) -> TokenUse | None:
        """No account is kept."""
        return None

    def space_of(self, _sender: Address) -> KeyInterval | None:
        """Nobody is bound."""
        return None

    def sees_store(self, _sender: Address) -> bool:
        """Everybody sees all."""
        return True
