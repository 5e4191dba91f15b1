"""Planted bugs are noticed, and gone afterwards. `make bugs` hunts all of them."""

from __future__ import annotations

import pytest

from fastness.errors import InvalidOption
from fastness.ranges.admission import Admission
from fastness.ranges.leaseholder import Leaseholder
from fastness.testing.simulation.bugs import BUGS, planted
from fastness.testing.simulation.bugs.hunting import SEEDS, hunt, main

QUICKLY = 8
"""Seeds within which each of those below is noticed."""


@pytest.mark.parametrize(
    "name",
    [
        "validate-then-wait",
        "no-point-validation",
        "read-past-intents",
        "resend-with-a-new-id",
        "outcomes-not-kept",
        "commit-without-invalidation",
        "atomics-evaluated-apart",
    ],
)
def test_a_bug_of_each_kind_is_noticed(name: str) -> None:
    """A checker that was never seen to fail proves nothing."""
    caught = hunt(name, QUICKLY)
    assert caught.seed, caught.finding


def test_every_bug_can_be_planted_and_leaves_nothing_behind() -> None:
    """Also where a bug replaces a property, or several things at once."""
    assert len(BUGS) >= 30
    for bug in BUGS.values():
        before = [owner.__dict__[name] for owner, name, _ in bug.patches]
        with planted(bug.name):
            during = [owner.__dict__[name] for owner, name, _ in bug.patches]
        assert all(one is not other for one, other in zip(before, during, strict=True))
        assert before == [owner.__dict__[name] for owner, name, _ in bug.patches]
        assert bug.what
        assert bug.rule


def test_a_bug_is_gone_after_an_error_too() -> None:
    """Whatever the bug led to."""
    before = Admission.__dict__["again"]

    def fail() -> None:
        with planted("validate-then-wait"):
            raise ValueError(Leaseholder.__name__)

    with pytest.raises(ValueError, match="Leaseholder"):
        fail()
    assert Admission.__dict__["again"] is before


def test_unknown_bugs_are_refused() -> None:
    """With the names there are."""
    with pytest.raises(InvalidOption, match="no-fence"), planted("nothing"):
        pass
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert SEEDS > QUICKLY
