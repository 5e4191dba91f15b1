"""Bugs planted on purpose: each leaves one rule of the protocol out, for one run.

A checker that has never failed proves nothing. Every rule of `docs/CONSISTENCY.md` that a fault
could break has a bug here: it replaces one small piece of the production code while a run lasts,
and puts it back. `tests/simulation/bugs` shows that each is caught within a stated number of
seeds. Production code knows nothing of this module, so nothing can switch a bug on outside the
simulator.

To plant one by hand: `fastness simulate --seeds 1-50 --plant decide-without-record`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from fastness.errors import InvalidOption

Patch = tuple[type | Any, str, Callable[[Any], Any]]
"""An owner (a class or a module), a name in it, and what makes the buggy one of the right one."""


@dataclass(frozen=True)
class Bug:
    """One rule left out."""

    name: str
    rule: str
    """The rule of docs/CONSISTENCY.md, or the hole of a simpler wording, that it breaks."""
    what: str
    patches: tuple[Patch, ...]


BUGS: dict[str, Bug] = {}


def plant(name: str, rule: str, what: str, *patches: Patch) -> None:
    """Add a bug to the garden."""
    BUGS[name] = Bug(name, rule, what, patches)


def always(answer: object) -> Callable[[Any], Callable[..., object]]:
    """Makes what always answers the same, in place of a method or function."""
    return lambda _right: lambda *_args, **_kwargs: answer


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Run with a bug; the right code is back afterwards, whatever happens."""
    bug = BUGS.get(name)
    if bug is None:
        raise InvalidOption(f"no bug is called {name!r}: choose one of {', '.join(sorted(BUGS))}")
    with ExitStack() as stack:
        for owner, attribute, make in bug.patches:
            stack.enter_context(_replaced(owner, attribute, make))
        yield


@contextmanager
def _replaced(owner: Any, attribute: str, make: Callable[[Any], Any]) -> Iterator[None]:
    found = owner.__dict__[attribute]
    inner = found.fget if isinstance(found, property) else found
    wrong = make(inner)
    setattr(owner, attribute, property(wrong) if isinstance(found, property) else wrong)
    try:
        yield
    finally:
        setattr(owner, attribute, found)
