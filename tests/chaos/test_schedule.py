"""What strikes, and in which order."""

from __future__ import annotations

from itertools import islice

import pytest

from fastness.errors import InvalidOption
from fastness.testing.chaos.faults import FAULTS
from fastness.testing.chaos.schedule import TOGETHER_S_MAX, chosen, turns

KINDS = list(FAULTS)
PAIRS = [name for name in KINDS if FAULTS[name].pairs]


def test_a_seed_repeats_its_turns() -> None:
    """The same seed gives the same blows in the same order, another seed others."""

    def drawn(seed: int) -> list[object]:
        return list(islice(turns(seed, KINDS, pairs=PAIRS), 50))

    assert drawn(7) == drawn(7) != drawn(8)


def test_every_kind_strikes_in_each_round() -> None:
    """No kind is left to chance: a round has all of them once, as the first of a turn."""
    drawn = turns(3, KINDS, pairs=PAIRS)
    for _ in range(4):
        assert sorted(turn.kinds[0] for turn in islice(drawn, len(KINDS))) == sorted(KINDS)


def test_only_kinds_that_a_cluster_bears_together_strike_together() -> None:
    """Two at once are two different ones of those that say so, not far apart."""
    double = [turn for turn in islice(turns(1, KINDS, pairs=PAIRS), 200) if len(turn.kinds) > 1]
    assert double
    for turn in double:
        assert set(turn.kinds) <= set(PAIRS)
        assert len(set(turn.kinds)) == 2
        assert 0.0 <= turn.apart_s <= TOGETHER_S_MAX


def test_unknown_faults_are_refused_by_name() -> None:
    """A typing error is told, with what there is."""
    assert chosen([], KINDS) == KINDS
    assert chosen([KINDS[2], KINDS[0]], KINDS) == [KINDS[0], KINDS[2]]
    with pytest.raises(InvalidOption, match="'kill-nod': choose from kill-node, "):
        chosen(["kill-nod"], KINDS)
    with pytest.raises(InvalidOption, match="name at least one"):
        next(turns(1, []))
