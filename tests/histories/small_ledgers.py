"""Random small ledgers, right and wrong, and the definition a replay is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from random import Random

from fastness.testing import Outcome
from fastness.testing.ledger import Attempt, Erase, Ledger, Scanned, Set

KEYS = (b"a", b"b")


def random_ledger(random: Random, *, attempts: int = 4) -> Ledger:
    """Overlapping attempts over two keys, timestamps and answers drawn with some sense."""
    moments = iter(random.sample(range(1, 100), attempts * 2))
    spans = sorted(sorted((next(moments), next(moments))) for _ in range(attempts))
    now = [0]
    ledger = Ledger(clock=lambda: now[0])
    values: list[bytes | None] = [None]
    for number, (begin, end) in enumerate(spans):
        now[0] = begin
        one = ledger.begin(number)
        low, high = sorted(random.choices((begin, end, random.randrange(1, 100)), k=2))
        writes = random.random() < 0.6
        _fill(random, one, values, writes=writes)
        now[0] = end
        outcome = random.choices((Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN), (6, 1, 1))[0]
        read_timestamp = low if random.random() < 0.6 else 0
        one.end(outcome, read_timestamp=read_timestamp)
        if writes and outcome is not Outcome.FAILED:
            one.commit_timestamp = high + (high == low)
    return ledger


def _fill(random: Random, one: Attempt, values: list[bytes | None], *, writes: bool) -> None:
    for key in KEYS:
        if random.random() < 0.5:
            one.reads.append((key, random.choice(values)))
        if writes and random.random() < 0.6:
            value = b"%d" % len(values)
            values.append(value)
            one.writes.append(Set(key, value))
    if random.random() < 0.2:
        entries = [(key, random.choice(values)) for key in KEYS]
        kept = tuple((key, value) for key, value in entries if value is not None)
        one.scans.append(Scanned(b"a", b"c", kept, after=len(one.writes)))
    if writes and not one.writes:
        one.writes.append(Erase(b"a", b"c"))


def explained(ledger: Ledger) -> bool:
    """The definition: some order that respects timestamps and real time gives every answer.

    An attempt takes part with its snapshot (if it was told a read timestamp) and with its commit
    (if it committed), each at one place of the order; one with neither takes part once, anywhere.
    """
    places: list[tuple[Attempt, str]] = []
    stamps: list[int] = []
    for one in ledger:
        if one.read_timestamp:
            places.append((one, "snapshot"))
        if one.writes_at:
            places.append((one, "commit"))
            stamps.append(one.writes_at)
        if not one.read_timestamp and not one.writes_at:
            places.append((one, "free"))
    if len(set(stamps)) < len(stamps):
        return False
    return any(
        _in_order(order) and _in_real_time(order) and _answers(order)
        for order in permutations(places)
    )


def _in_order(order: Sequence[tuple[Attempt, str]]) -> bool:
    """Whether timestamps rise; a snapshot comes after the commit of its timestamp."""
    stamped = [
        (one.read_timestamp, 1) if role == "snapshot" else (one.writes_at, 0)
        for one, role in order
        if role != "free"
    ]
    return stamped == sorted(stamped)


def _in_real_time(order: Sequence[tuple[Attempt, str]]) -> bool:
    """Whether nothing stands before what had ended before it began.

    Of an attempt that was acknowledged its commit counts, of any other what it saw.
    """
    for place, (earlier, _) in enumerate(order):
        for later, role in order[place + 1 :]:
            counts = role != "commit" or later.outcome is Outcome.OK
            if counts and later.completed is not None and later.completed < earlier.invoked:
                return False
    return True


def _answers(order: Sequence[tuple[Attempt, str]]) -> bool:
    state: dict[bytes, bytes] = {}
    for one, role in order:
        if any(state.get(key) != value for key, value in one.reads):
            return False
        for scan in one.scans:
            seen = dict(state)
            _write(seen, one, scan.after)
            if tuple(sorted(seen.items())) != scan.entries:
                return False
        if role == "commit":
            _write(state, one, len(one.writes))
    return True


def _write(state: dict[bytes, bytes], one: Attempt, count: int) -> None:
    for effect in one.writes[:count]:
        if isinstance(effect, Erase):
            state.clear()
        elif isinstance(effect, Set) and effect.value is not None:
            state[effect.key] = effect.value
