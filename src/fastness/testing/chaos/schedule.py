"""Which faults strike, in which order: drawn from a seed, without a look at any cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from fastness.errors import InvalidOption

TWO_AT_ONCE = 0.25
"""How many turns have a second fault."""
RESHAPED = 0.5
"""In how many turns ranges change their shape and place."""
TOGETHER_S_MAX = 3.0
"""How much later the second one strikes, at most."""


class Turn(NamedTuple):
    """What strikes before the cluster may recover."""

    kinds: tuple[str, ...]
    apart_s: float = 0.0
    """How long after the first the second strikes."""
    reshaped: bool = False
    """Whether an operator splits, merges, hands over and moves ranges all the while."""


def turns(seed: int, kinds: Sequence[str], *, pairs: Sequence[str] = ()) -> Iterator[Turn]:
    """Turns without end: every kind once in each round, the rounds in different orders.

    `pairs` are the kinds that may strike together with another of them: a cluster bears the loss
    of any one member of each sort, and not of any two.
    """
    random = Random(f"{seed}/chaos")
    if not kinds:
        raise InvalidOption("no fault is left to strike: name at least one")
    while True:
        for kind in random.sample(list(kinds), len(kinds)):
            others = [one for one in pairs if one != kind and one in kinds]
            reshaped = random.random() < RESHAPED
            if kind in pairs and others and random.random() < TWO_AT_ONCE:
                apart_s = round(random.uniform(0.0, TOGETHER_S_MAX), 2)
                yield Turn((kind, random.choice(others)), apart_s, reshaped)
            else:
                yield Turn((kind,), reshaped=reshaped)


def chosen(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """The kinds asked for, all of them if none is; `InvalidOption` names one that is unknown."""
    for name in wanted:
        if name not in known:
            raise InvalidOption(f"no fault is called {name!r}: choose from {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted]
