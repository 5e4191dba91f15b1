"""Transactions that read through the near cache, with a timestamp and without, exhaustively.

    python -m models cached_transactions

Two scenarios; cache leases and invalidations are those of `near_cache.py` and always work.

*A snapshot through the cache.* One range holds k and q. T, across ranges, writes k, and is applied
some time after its decision; W, of one range, writes q. Each invalidates when it locks. The
client fills the cache at any time, with a scan of both keys or with k alone; the range may get
another holder. S reads at R: the cached scan; or k, cached or not, and then q at the holder.
Every entry has a *valid-from*: the highest commit timestamp its range had applied when it
was filled; a key that is present may use its own commit timestamp instead. Promise: S
sees exactly what is true at R, and no entry is older than what was applied.

*A transaction without a timestamp.* x and y lie in two ranges, z in a third. W writes x and y,
across ranges. T reads x and y from the cache while every entry it used is still valid, or it
starts again. At its first miss it draws R, checks the entries once more, and goes on at R. If it
writes (z), it draws R at commit if it has none, checks every entry used once more, and is then
validated at R in every range it read: it prepares there, with a read lock. Q is a T that writes
nothing. S reads x and z
at a timestamp of its own. Entries are filled, evicted, and lapse at any time. Promise: strict
serializability.

Bounds: two writers and a reader; one transaction, which starts again up to timestamp 3.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import History, Judge, Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    VALID_FROM_CHECKED = "an entry serves a read timestamp below its valid-from"
    VALID_FROM_IS_HIGHEST = "valid-from is the timestamp applied last, not the highest"
    VALID_FROM_COUNTS_RESOLVED = "valid-from ignores resolved intents"
    TAKEOVER_AT_HIGHEST = "after a takeover valid-from starts anew"
    NOT_FILLED_UNDER_LOCK = "a fill is answered while the key is locked"
    ONLY_NEWEST_FILLED = "what was read at R is kept as an entry, newest or not"
    CHECKED_AT_EACH_READ = "earlier entries are not looked at again when another is read"
    EVICTION_INVALIDATES = "an evicted or lapsed entry still counts as valid"
    CHECKED_AFTER_DRAWING = "entries are checked before R is drawn, not after"
    READS_VALIDATED = "only the ranges written validate"


class Writer(StrEnum):
    """How far a writer has come."""

    NEW = "new"
    LOCKED = "locked"
    DRAWN = "drawn"
    APPLIED = "applied"


class Range(NamedTuple):
    """One range, its cached entries, two writers and a snapshot reader."""

    clock: int = 0
    across: Writer = Writer.NEW
    """T, which writes k."""
    across_at: int = 0
    within: Writer = Writer.NEW
    """W, which writes q."""
    within_at: int = 0
    applied: int = 0
    """What the holder takes for valid-from."""
    scan: tuple[int, int, int] | None = None
    """The cached scan: k, q and valid-from."""
    point: tuple[int, int] | None = None
    """The cached k and its valid-from."""
    taken_over: bool = False
    read_at: int = 0
    """R of S, 0 before it is drawn."""
    seen_k: int | None = None
    done: bool = False
    wrong: str = ""

    @property
    def k(self) -> int:
        """The newest value of k that is applied."""
        return int(self.across is Writer.APPLIED)

    @property
    def q(self) -> int:
        """The newest value of q that is applied."""
        return int(self.within is Writer.APPLIED)


SNAPSHOT_LATEST = 4
"""No later R than this is drawn."""


def range_steps(state: Range, without: Rule | None) -> Steps[Range]:
    """Everything that can happen next to one range and its cache."""
    at = state.clock + 1
    if state.across is Writer.NEW:
        yield "T locks k", state._replace(across=Writer.LOCKED, scan=None, point=None)
    elif state.across is Writer.LOCKED:
        yield f"T is decided at {at}", state._replace(across=Writer.DRAWN, across_at=at, clock=at)
    elif state.across is Writer.DRAWN:
        yield (
            f"T is applied at {state.across_at}",
            _applied(state._replace(across=Writer.APPLIED), state.across_at, without),
        )
    if state.within is Writer.NEW:
        yield "W locks q", state._replace(within=Writer.LOCKED, scan=None)
    elif state.within is Writer.LOCKED:
        yield f"W draws {at}", state._replace(within=Writer.DRAWN, within_at=at, clock=at)
    elif state.within is Writer.DRAWN:
        yield (
            f"W is applied at {state.within_at}",
            _applied(state._replace(within=Writer.APPLIED), state.within_at, without),
        )
    yield from _range_fills(state, without)
    idle = state.within in {Writer.NEW, Writer.APPLIED} and state.across is not Writer.DRAWN
    if not state.taken_over and idle:
        highest = max(state.k * state.across_at, state.q * state.within_at)
        start = 0 if without is Rule.TAKEOVER_AT_HIGHEST else highest
        yield (
            "another node takes the range over",
            state._replace(taken_over=True, scan=None, point=None, applied=start),
        )
    yield from _range_reads(state, without)


def _applied(state: Range, at: int, without: Rule | None) -> Range:
    if without is Rule.VALID_FROM_IS_HIGHEST:
        return state._replace(applied=at)
    if without is Rule.VALID_FROM_COUNTS_RESOLVED and at == state.across_at:
        return state
    return state._replace(applied=max(at, state.applied))


def _range_fills(state: Range, without: Rule | None) -> Steps[Range]:
    pending = {Writer.LOCKED, Writer.DRAWN}
    if without is Rule.NOT_FILLED_UNDER_LOCK:
        pending = set()
    if state.scan is None and state.across not in pending and state.within not in pending:
        entry = (state.k, state.q, state.applied)
        what = f"a fill: k={state.k} q={state.q}, valid from {state.applied}"
        yield what, state._replace(scan=entry)
    if state.point is None and state.across not in pending:
        since = state.across_at if state.k else state.applied
        yield f"a fill: k={state.k}, valid from {since}", state._replace(point=(state.k, since))


def _range_reads(state: Range, without: Rule | None) -> Steps[Range]:
    at, serves_any = state.read_at, without is Rule.VALID_FROM_CHECKED
    if state.done:
        return
    if not at:
        if state.clock < SNAPSHOT_LATEST:
            drawn = state.clock + 1
            yield f"S draws R={drawn}", state._replace(clock=drawn, read_at=drawn)
        return
    if state.seen_k is None:
        if state.scan is not None and (state.scan[2] <= at or serves_any):
            k, q, _since = state.scan
            yield f"S reads k={k} q={q} from the cached scan", _saw(state, k, q)
        if state.point is not None and (state.point[1] <= at or serves_any):
            k = state.point[0]
            yield f"S reads k={k} from the cache", state._replace(seen_k=k)
        elif state.across not in {Writer.LOCKED, Writer.DRAWN}:
            k = int(0 < state.across_at <= at)
            after = state._replace(seen_k=k)
            if without is Rule.ONLY_NEWEST_FILLED and state.point is None:
                after = after._replace(point=(k, 0))
            yield f"S reads k={k} at the holder", after
    elif state.within not in {Writer.LOCKED, Writer.DRAWN}:
        q = int(0 < state.within_at <= at)
        yield f"S reads q={q} at the holder", _saw(state, state.seen_k, q)


def _saw(state: Range, k: int, q: int) -> Range:
    """S is done; whether it saw what is true at R."""
    true_k = int(0 < state.across_at <= state.read_at)
    true_q = int(0 < state.within_at <= state.read_at)
    wrong = ""
    if (k, q) != (true_k, true_q):
        wrong = f"S saw k={k} q={q} at R={state.read_at}, where k={true_k} q={true_q}"
    return state._replace(done=True, wrong=wrong)


def range_wrong(state: Range) -> str:
    """The promise that is broken."""
    if state.point is not None and state.point[0] < state.k:
        return state.wrong or "an entry is older than what was applied"
    return state.wrong


class Phase(StrEnum):
    """How far T has come."""

    NEW = "new"
    READING = "reading"
    CHECKED = "checked"
    PREPARING = "preparing"
    ENDED = "ended"


KEYS = "xy"
RESTARTS_LATEST = 3
"""No attempt starts again at a later timestamp than this."""


class World(NamedTuple):
    """A transaction that reads from the cache, a writer and a snapshot reader."""

    clock: int = 0
    locked: frozenset[str] = frozenset()
    """Keys that W has locked, and not yet applied."""
    committed: int = 0
    """W's commit timestamp."""
    applied: frozenset[str] = frozenset()
    entries: tuple[int | None, int | None] = (None, None)
    name: str = ""
    """T, which writes z, or Q, which is T without writing anything."""
    phase: Phase = Phase.NEW
    used: tuple[tuple[str, int], ...] = ()
    """What T has read."""
    broken: bool = False
    """An entry that T used is no more valid."""
    read_at: int = 0
    """R of T, 0 while it has none."""
    read_locked: frozenset[str] = frozenset()
    written: int = 0
    """T's commit timestamp."""
    snapshot: int = 0
    history: History = History()


_JUDGE = Judge({"W": {"x": 1, "y": 1}, "T": {"z": 1}})


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next to T, W, S and the cache."""
    yield from _writes(world)
    for key in KEYS:
        entry = _entry(world, key)
        if entry is None and key not in world.locked:
            value = int(key in world.applied)
            filled = _with_entry(world, key, value)
            yield f"a fill: {key}={value}", filled
        elif entry is not None:
            still = world.broken if without is Rule.EVICTION_INVALIDATES else _breaks(world, key)
            evicted = _with_entry(world, key, None)._replace(broken=still)
            yield f"{key} is evicted, or its lease lapses", evicted
    if world.phase is Phase.NEW:
        for name, what in (("T", "to write z"), ("Q", "to read only")):
            begun = world._replace(name=name, history=world.history.begin(name))
            yield f"{name} begins, {what}", begun._replace(phase=Phase.READING)
    elif world.phase is Phase.READING:
        yield from _reads(world, without)
    elif world.phase in {Phase.CHECKED, Phase.PREPARING}:
        yield from _commits(world, without)
    yield from _snapshot(world)


def _writes(world: World) -> Steps[World]:
    """W locks and invalidates at both ranges, is decided, and is applied."""
    if not world.committed:
        begun = world if world.locked else world._replace(history=world.history.begin("W"))
        for key in KEYS:
            if key not in world.locked and key not in world.read_locked:
                locked = begun._replace(
                    locked=world.locked | {key},
                    broken=world.broken or (_entry(world, key) is not None and _breaks(world, key)),
                )
                yield f"W locks {key}, which the client drops", _with_entry(locked, key, None)
        if len(world.locked) == len(KEYS):
            at = world.clock + 1
            yield (
                f"W is decided at {at}, and answered",
                world._replace(clock=at, committed=at, history=world.history.answer("W")),
            )
    else:
        for key in sorted(world.locked):
            yield (
                f"W is applied to {key}",
                world._replace(locked=world.locked - {key}, applied=world.applied | {key}),
            )


def _breaks(world: World, key: str) -> bool:
    return world.broken or key in dict(world.used)


def _reads(world: World, without: Rule | None) -> Steps[World]:
    """T reads what it has not read: from the cache, or at R."""
    if len(world.used) == len(KEYS):
        yield from _ends_reading(world, without)
        return
    again = world._replace(used=(), broken=False)
    for key in KEYS:
        if key in dict(world.used):
            continue
        entry = _entry(world, key)
        if world.read_at:
            if key not in world.locked:
                value = int(0 < world.committed <= world.read_at)
                yield f"{world.name} reads {key}={value} at R", _used(world, key, value)
        elif entry is not None:
            if world.broken and without is not Rule.CHECKED_AT_EACH_READ:
                yield f"{world.name} finds an entry it used gone, and starts again", again
            else:
                yield (
                    f"{world.name} reads {key}={entry} from the cache",
                    _used(world, key, entry),
                )
        else:
            yield from _draws(world, f"{world.name} misses {key}", Phase.READING, without)


def _used(world: World, key: str, value: int) -> World:
    return world._replace(used=tuple(sorted((*world.used, (key, value)))))


def _draws(world: World, why: str, then: Phase, without: Rule | None) -> Steps[World]:
    """T draws R, and checks the entries it used once R is there, or starts again."""
    at = world.clock + 1
    early = without is Rule.CHECKED_AFTER_DRAWING
    if early and world.phase is not then:
        # The check is a step of its own, and R comes later.
        if not world.broken:
            yield f"{why}: it finds all entries valid", world._replace(phase=then)
    elif world.broken and not early:
        if at > RESTARTS_LATEST:
            return
        again = world._replace(clock=at, used=(), broken=False)
        yield f"{why}, draws R={at}, and finds an entry gone: it starts again", again
    else:
        yield f"{why}, and draws R={at}", world._replace(clock=at, read_at=at, phase=then)


def _ends_reading(world: World, without: Rule | None) -> Steps[World]:
    """Q has its answer; T goes on to commit."""
    if world.name == "Q":
        history = world.history.answer("Q", dict(world.used))
        yield "Q ends", world._replace(phase=Phase.ENDED, history=history)
    elif world.read_at:
        yield "T goes on to commit", world._replace(phase=Phase.CHECKED)
    else:
        yield from _draws(world, "T is to commit", Phase.CHECKED, without)


def _commits(world: World, without: Rule | None) -> Steps[World]:
    """T is validated at R where it read, prepared with read locks, decided."""
    if not world.read_at:
        yield from _draws(world, "T is to commit", Phase.CHECKED, without)
        return
    refused = world._replace(
        phase=Phase.ENDED, read_locked=frozenset(), history=world.history.refuse("T")
    )
    if without is not Rule.READS_VALIDATED:
        for key in KEYS:
            if key in world.read_locked:
                continue
            newer = key in world.applied and world.committed > world.read_at
            if newer or key in world.locked:
                yield f"T meets W at {key}, and fails", refused
            else:
                yield (
                    f"T is validated at {key}, and locks it",
                    world._replace(phase=Phase.PREPARING, read_locked=world.read_locked | {key}),
                )
        if len(world.read_locked) < len(KEYS):
            return
    at = world.clock + 1
    yield (
        f"T is decided at {at}, and answered",
        world._replace(
            clock=at,
            phase=Phase.ENDED,
            written=at,
            read_locked=frozenset(),
            history=world.history.answer("T", dict(world.used)),
        ),
    )


def _snapshot(world: World) -> Steps[World]:
    """S reads x and z at a timestamp of its own."""
    if not world.snapshot:
        at = world.clock + 1
        yield (
            f"S draws R={at}",
            world._replace(clock=at, snapshot=at, history=world.history.begin("S")),
        )
    elif (
        "S" not in dict(world.history.answered)
        and world.phase is not Phase.PREPARING
        and ("x" not in world.locked or world.committed)
    ):
        seen = {
            "x": int(0 < world.committed <= world.snapshot),
            "z": int(0 < world.written <= world.snapshot),
        }
        yield (
            f"S reads x={seen['x']} z={seen['z']}",
            world._replace(history=world.history.answer("S", seen)),
        )


def _entry(world: World, key: str) -> int | None:
    return world.entries[KEYS.index(key)]


def _with_entry(world: World, key: str, entry: int | None) -> World:
    one, two = (entry if name == key else _entry(world, name) for name in KEYS)
    return world._replace(entries=(one, two))


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="a snapshot through the cache",
            start=Range(),
            steps=range_steps,
            wrong=range_wrong,
            needs=(
                Rule.VALID_FROM_CHECKED,
                Rule.VALID_FROM_IS_HIGHEST,
                Rule.VALID_FROM_COUNTS_RESOLVED,
                Rule.TAKEOVER_AT_HIGHEST,
                Rule.NOT_FILLED_UNDER_LOCK,
                Rule.ONLY_NEWEST_FILLED,
            ),
        ),
        Scenario(
            name="a transaction without a timestamp",
            start=World(),
            steps=steps,
            wrong=lambda world: _JUDGE.wrong(world.history),
            needs=(
                Rule.CHECKED_AT_EACH_READ,
                Rule.EVICTION_INVALIDATES,
                Rule.CHECKED_AFTER_DRAWING,
                Rule.READS_VALIDATED,
            ),
        ),
    ),
)
