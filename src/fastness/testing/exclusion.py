"""Exclusion: at most one key of a group is present, kept by transactions that look before.

Whoever wants to write a key of a group first reads the group and finds it empty. Two that look at
once and write different keys are the classic write skew; where the group is an interval, and is
scanned, they are phantoms. No two written keys conflict, so only the validation of
reads keeps them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from fastness.testing._accusations import Accuser, report_on
from fastness.testing._ledger_words import shown_bytes
from fastness.testing.history import Outcome
from fastness.testing.ledger import Attempt
from fastness.testing.report import Report

_TITLES: Final = {
    "shared-group": "two keys of a group are present, of which each excludes the other"
}


def check_exclusion(attempts: Sequence[Attempt], groups: Iterable[Sequence[bytes]]) -> Report:
    """Judge what each acknowledged attempt found of the groups, each a sequence of keys."""
    report = report_on("exclusion", attempts)
    accuser = Accuser(report, _TITLES)
    group_of = {key: number for number, group in enumerate(groups) for key in group}
    for one in attempts:
        if one.outcome is not Outcome.OK:
            continue
        found: dict[int, dict[bytes, bytes]] = {}
        for key, value in one.found():
            number = group_of.get(key)
            if number is not None:
                found.setdefault(number, {})[key] = value
        for holders in found.values():
            if len(holders) > 1:
                keys = list(holders)
                shown = ", ".join(
                    f"{shown_bytes(key)} -> {shown_bytes(holders[key])}" for key in keys
                )
                writers = [other for other in attempts if _wrote(other, holders)]
                accuser.accuse("shared-group", f"{one.name} read {shown}", (one, *writers), *keys)
    return report


def _wrote(one: Attempt, holders: dict[bytes, bytes]) -> bool:
    return any(
        getattr(effect, "key", None) in holders
        and getattr(effect, "value", None) == holders.get(getattr(effect, "key", b""))
        for effect in one.writes
    )
