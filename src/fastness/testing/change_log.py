"""The stores' change log against the ledger: every acknowledged commit is in it, and nothing else.

The log lists commits with their timestamps and the keys they changed. It is what feeds, moves and
backups follow, and the last word on durability: an acknowledged commit that is not in it is lost,
one that is in it and that nobody made is a ghost. The ledger's commits are played in timestamp
order, as in the replay, and each must change in the log exactly what it changes there.

The log also settles outcomes that clients never learned: `resolve_by_log`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from fastness.testing._accusations import Accuser, report_on
from fastness.testing._ledger_words import shown_bytes, shown_moment
from fastness.testing._timeline import Timeline
from fastness.testing.history import Outcome
from fastness.testing.ledger import Add, Attempt, Effect, Erase, Extend, Set, StampKey, StampValue
from fastness.testing.report import Report

_PAGE_TITLES: Final = {
    "late-change": "a commit appeared at or below a closed timestamp",
    "changed-page": "a commit at or below a closed timestamp changed",
    "vanished-change": "a commit at or below a closed timestamp vanished",
}

Changes = Mapping[bytes, bytes | None]
"""What one commit changed: values, `None` for what it removed."""

_TITLES: Final = {
    "lost-commit": "an acknowledged commit is not in the change log",
    "ghost-commit": "the change log holds a commit that nobody made, or that failed",
    "other-changes": "the change log says of a commit what it did not do",
    "disordered-log": "the change log is not in commit order",
}


def everything(_key: bytes) -> bool:
    """The ledger knows of every key."""
    return True


def check_change_log(
    attempts: Sequence[Attempt],
    log: Sequence[tuple[int, Changes]],
    *,
    concerns: Callable[[bytes], bool] = everything,
) -> Report:
    """Judge a whole change log: (commit timestamp, changes), in its order.

    `concerns` tells which keys the ledger knows of. Removals of values that have expired may be
    in the log and belong to nobody. Attempts of unknown outcome may be in it or not.
    """
    report = report_on("change-log", attempts)
    _Judge(Accuser(report, _TITLES), attempts, concerns).judge(log)
    return report


def resolve_by_log(
    attempts: Iterable[Attempt],
    log: Sequence[tuple[int, Changes]],
    *,
    concerns: Callable[[bytes], bool] = everything,
) -> int:
    """Settle unknown outcomes by the commits in the log that can only be theirs.

    What committed is in the log, so what is not in it did not: the log must be complete. Returns
    how many could not be settled. `concerns` as for `check_change_log`.
    """
    attempts = list(attempts)
    left = [
        one
        for one in attempts
        if one.outcome is Outcome.UNKNOWN and one.writes and not one.commit_timestamp
    ]
    known = [
        (at, {key: value for key, value in changes.items() if concerns(key)}) for at, changes in log
    ]
    return _resolve_by_elimination(left, attempts, known)


def _resolve_by_elimination(
    left: list[Attempt], attempts: list[Attempt], log: Sequence[tuple[int, Changes]]
) -> int:
    """Strike out what others did, then whatever has one candidate left, until nothing changes."""
    taken = {one.writes_at for one in attempts if one.writes_at}
    strays = {timestamp: changes for timestamp, changes in log if timestamp not in taken}
    while True:
        fits = {
            one.index: [at for at, changes in strays.items() if _may_be_of(one, at, changes)]
            for one in left
        }
        rivals = [at for places in fits.values() for at in places]
        settled = 0
        for one in list(left):
            places = fits[one.index]
            if not places and _left_behind(one.writes):
                one.resolve(None)
            elif len(places) == 1 and rivals.count(places[0]) == 1:
                one.resolve(places[0])
                del strays[places[0]]
            else:
                continue
            left.remove(one)
            settled += 1
        if not settled:
            return len(left)


def _may_be_of(one: Attempt, timestamp: int, changes: Changes) -> bool:
    """Whether a commit in the log can be this attempt's."""
    if timestamp <= max(one.read_timestamp or 0, int.from_bytes(one.identity[:8], "big")):
        return False
    left = _left_behind(one.writes)
    if not all(_explains(one.writes, left, key, value) for key, value in changes.items()):
        return False
    return all(
        key in changes
        and (changes[key] or b"").endswith(tail)
        and (inexact or changes[key] == tail)
        for key, (tail, inexact) in left.items()
    )


def _explains(
    effects: Sequence[Effect], left: Mapping[bytes, object], key: bytes, value: bytes | None
) -> bool:
    """Whether effects that leave this behind may change a key to a value, or remove it."""
    touching = [effect for effect in effects if _touches(effect, key)]
    if value is None or key in left:
        return bool(touching)
    return any(isinstance(effect, StampKey) for effect in touching)


def _left_behind(effects: Sequence[Effect]) -> dict[bytes, tuple[bytes, bool]]:
    """The keys that effects certainly change: the end of the value each leaves, and if only that.

    What is removed again may never have been there, and then is not in the log.
    """
    left: dict[bytes, tuple[bytes, bool]] = {}
    for effect in effects:
        match effect:
            case Erase(begin, end):
                left = {key: one for key, one in left.items() if not begin <= key < end}
            case Set(key, None):
                left.pop(key, None)
            case Set(key, value) if value is not None:
                left[key] = (value, False)
            case Extend(key, value):
                before, inexact = left.get(key, (b"", True))
                left[key] = (before + value, inexact)
            case Add(key) | StampValue(key):
                left[key] = (b"", True)
            case _:
                continue
    return left


def _touches(effect: Effect, key: bytes) -> bool:
    """Whether an effect may change a key."""
    if isinstance(effect, Erase):
        return effect.begin <= key < effect.end
    if isinstance(effect, StampKey):
        return key.startswith(effect.prefix) and key.endswith(effect.suffix)
    return effect.key == key


class LogPage(NamedTuple):
    """What a follower read of one store's log: everything in (after, up_to], it was promised."""

    store: str
    after: int
    up_to: int
    changes: Sequence[tuple[int, Changes]]


def check_pages(pages: Sequence[LogPage], logs: Mapping[str, Mapping[int, Changes]]) -> Report:
    """Judge pages read up to closed timestamps against what each store's log held in the end."""
    report = Report("closed-pages", len(pages), sum(len(one.changes) for one in pages), 0)
    accuser = Accuser(report, _PAGE_TITLES)
    stamps = {store: sorted(log) for store, log in logs.items()}
    for page in pages:
        ordered, log = stamps[page.store], logs[page.store]
        low = bisect_right(ordered, page.after)
        due = ordered[low : bisect_right(ordered, page.up_to, low)]
        found = dict(page.changes)
        where = f"the page of {page.store} from {shown_moment(page.after)} to closed "
        where += shown_moment(page.up_to)
        for timestamp in due:
            if timestamp not in found:
                what = f"{where} lacks the commit of {shown_moment(timestamp)}, which came later"
                accuser.accuse("late-change", what, ())
            elif dict(found[timestamp]) != dict(log[timestamp]):
                what = f"{where} shows the commit of {shown_moment(timestamp)} otherwise"
                accuser.accuse("changed-page", what, ())
        for timestamp in found:
            if timestamp not in log:
                what = f"{where} shows a commit of {shown_moment(timestamp)}, which vanished later"
                accuser.accuse("vanished-change", what, ())
    return report


class _Judge:
    """The judgement on one log."""

    def __init__(
        self, accuser: Accuser, attempts: Sequence[Attempt], concerns: Callable[[bytes], bool]
    ) -> None:
        self.accuser = accuser
        self.concerns = concerns
        self.timeline = Timeline()
        self.commits = {one.writes_at: one for one in attempts if one.writes_at}
        self.doubtful = [
            one
            for one in attempts
            if one.outcome is Outcome.UNKNOWN and one.writes and not one.commit_timestamp
        ]
        self.doubtful_keys = {
            effect.key
            for one in self.doubtful
            for effect in one.writes
            if isinstance(effect, Add | Extend | StampValue)
        }
        """Nobody can say what an operation whose outcome is unknown left here."""
        self.writers = {
            (done.key, done.value): one
            for one in attempts
            for done in one.writes
            if isinstance(done, Set)
        }

    def judge(self, log: Sequence[tuple[int, Changes]]) -> None:
        """Play the ledger beside the log."""
        for (before, _), (after, _) in pairwise(log):
            if before >= after:
                what = f"{shown_moment(after)} follows {shown_moment(before)}"
                self.accuser.accuse("disordered-log", what, ())
        logged = {
            timestamp: {key: value for key, value in changes.items() if self.concerns(key)}
            for timestamp, changes in log
        }
        for timestamp in sorted({*logged, *self.commits}):
            one = self.commits.get(timestamp)
            if one is None:
                self._judge_stray(timestamp, logged[timestamp])
            else:
                self._judge_commit(one, timestamp, logged.get(timestamp, {}))

    def _judge_commit(self, one: Attempt, timestamp: int, found: Changes) -> None:
        keys = dict.fromkeys(self._keys(one.writes, timestamp))
        before = {key: self.timeline.versions.get(key, [])[-1:] for key in keys}
        self.timeline.apply(one, timestamp)
        wrong: list[bytes] = []
        missing = 0
        for key in keys:
            due = self.timeline.versions[key][-1].value if key in self.timeline.versions else None
            there = bool(before[key]) and before[key][0].value is not None
            if due is None and not (there and before[key][0].at(timestamp) is not None):
                # Nothing was there to be seen: removing it may be listed where it had expired.
                if found.get(key) is not None:
                    wrong.append(key)
            elif key not in found:
                missing += 1
                wrong.append(key)
            elif found[key] != due:
                wrong.append(key)
        wrong += [key for key in found if key not in keys]
        wrong = [key for key in wrong if key not in self.doubtful_keys]
        if not wrong:
            return
        lost = missing > 0 and not found
        told = f"{one.name} committed at {shown_moment(timestamp)}"
        if lost:
            self.accuser.accuse("lost-commit", f"{told}, where the log is empty", (one,), *wrong)
            return
        shown = ", ".join(
            f"{shown_bytes(key)} -> {shown_bytes(found[key]) if key in found else 'not listed'}"
            for key in wrong[:6]
        )
        self.accuser.accuse("other-changes", f"{told}, where the log says {shown}", (one,), *wrong)

    def _keys(self, effects: Iterable[Effect], timestamp: int) -> Iterator[bytes]:
        """The keys that effects may change."""
        for effect in effects:
            if isinstance(effect, Erase):
                yield from self.timeline.known(effect.begin, effect.end)
            else:
                yield self.timeline.outcome(effect, timestamp)[0]

    def _judge_stray(self, timestamp: int, changes: Changes) -> None:
        """A commit that is nobody's, or that of one of several."""
        for key, value in changes.items():
            versions = self.timeline.versions.get(key, [])
            expired = bool(versions) and versions[-1].at(timestamp) is None
            if (value is None and expired) or any(
                _may_be_of(one, timestamp, changes) for one in self.doubtful
            ):
                if value is None:
                    self.timeline.remove(key, timestamp)
                continue
            writer = self.writers.get((key, value))
            what = f"at {shown_moment(timestamp)} the log says {shown_bytes(key)} -> "
            what += shown_bytes(value)
            self.accuser.accuse("ghost-commit", what, (writer,), key)
            return
