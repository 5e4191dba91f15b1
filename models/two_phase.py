"""Two-phase commit and recovery, with two coordinators, lost messages and splits, exhaustively.

    python -m models two_phase

What is modelled. One transaction writes the keys a, b and z, and reads r beside b. Two coordinators
drive it under one id: the second is the client's resend, which does not know what the
first has done. Participants are ranges: one holds a, one b and z until it splits between
them, and a second split may move the anchor key a to a new range. Prepares, decisions and
aborts arrive in any order and at any time after they were sent, or never. The deadline passes
at any moment. A participant whose intent waited past it asks the anchor. When the window for
outcomes is over, whatever the ranges remember is forgotten: an abort at once, which the anchor
may have written without knowing the participants; a commit once all have answered. Another
transaction, W, overwrites r as soon as no read lock is there.

What is promised:

* a transaction that is committed at its anchor keeps its intent or its versions at every key,
  and its read locks until then; one that is aborted leaves nothing;
* nothing is applied twice;
* a client that is told "aborted" can safely do its work again: it never commits.

Bounds: one transaction, two coordinators, three keys, two splits, one window.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    ANCHOR_IN_ID = "a coordinator picks the anchor itself, not the first key written"
    ABORT_AT_ANCHOR = "a coordinator aborts by telling the participants, not the anchor"
    DECIDED_ONCE = "whoever decides second overwrites the decision"
    DECIDES_WITH_INTENT = "a decision to commit is written where the anchor's intent is gone"
    ABORT_WRITTEN_FIRST = "past the deadline an anchor answers aborted without writing it"
    OUTCOME_REFUSES_PREPARE = "a prepare is accepted though the range knows the outcome"
    DEADLINE_REFUSES_PREPARE = "a prepare is accepted past its deadline"
    READ_LOCK_UNTIL_DECISION = "a prepared read lock drops at the deadline"
    RECORD_AWAITS_EVERY_SPAN = "a commit record is dropped once the first ranges have answered"
    SPLIT_CARRIES_INTENTS = "a split leaves intents in the old range only"
    ANCHOR_IS_A_KEY = "the record stays with the range id when the anchor key moves"


class Fate(StrEnum):
    """What is decided, or known, of the transaction."""

    NONE = "unknown"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Key(NamedTuple):
    """One key of the transaction in the range that holds it."""

    intent: bool = False
    applied: int = 0
    """How often the write became a version."""
    outcome: Fate = Fate.NONE
    """What the range remembers of the transaction, for this key."""


class Phase(StrEnum):
    """How far a coordinator has come."""

    IDLE = "idle"
    PREPARING = "preparing"
    ENDED = "ended"


class Coordinator(NamedTuple):
    """One attempt to drive the transaction."""

    phase: Phase = Phase.IDLE
    agreed: frozenset[str] = frozenset()
    """Keys whose prepare was answered yes."""
    refused: bool = False
    drops: frozenset[str] = frozenset()
    """Keys that a message to drop the intent is on its way to."""


KEYS = "abz"
COORDINATORS = (0, 1)


class World(NamedTuple):
    """One state of everything."""

    coordinators: tuple[Coordinator, Coordinator] = (Coordinator(), Coordinator())
    keys: tuple[Key, Key, Key] = (Key(), Key(), Key())
    records: tuple[Fate, Fate] = (Fate.NONE, Fate.NONE)
    """The decision at the anchor a; and at b, which only a wrong coordinator uses."""
    late: bool = False
    """The deadline has passed."""
    split: bool = False
    """b and z lie in different ranges."""
    moved: bool = False
    """The anchor key lies in another range than at first."""
    forgotten: bool = False
    read_locked: bool = False
    overtaken: bool = False
    """W overwrote r, which the transaction read, and was answered."""
    told: frozenset[Fate] = frozenset()
    ever_committed: bool = False


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    for number in COORDINATORS:
        yield from _drives(world, number, without)
    for key in KEYS:
        yield from _resolves(world, key, without)
    yield from _recovers(world, without)
    yield from _passes(world, without)


def _drives(world: World, number: int, without: Rule | None) -> Steps[World]:
    mine, name = world.coordinators[number], f"coordinator {number + 1}"
    if mine.phase is Phase.IDLE and (number == 0 or world.coordinators[0].phase is not Phase.IDLE):
        yield f"{name} sends prepares", _driven(world, number, Coordinator(Phase.PREPARING))
    if mine.phase is Phase.PREPARING:
        for keys in _spans(world):
            if not set(keys) <= mine.agreed:
                yield from _prepares(world, number, keys, without)
        yield from _decides(world, number, without)
    for key in sorted(mine.drops):
        told = _driven(world, number, mine._replace(drops=mine.drops - {key}))
        yield f"{name}'s abort reaches {key}", _dropped(told, key, Fate.ABORTED)


def _spans(world: World) -> tuple[str, ...]:
    """The keys of the transaction, by the range that holds them."""
    return ("a", "b", "z") if world.split else ("a", "bz")


def _prepares(world: World, number: int, keys: str, without: Rule | None) -> Steps[World]:
    """The prepare for the keys of one range arrives there."""
    mine, name = world.coordinators[number], f"coordinator {number + 1}'s prepare"
    known = {_key(world, key).outcome for key in keys} - {Fate.NONE}
    agreed = _driven(world, number, mine._replace(agreed=mine.agreed | set(keys)))
    refused = _driven(world, number, mine._replace(refused=True))
    if known and without is not Rule.OUTCOME_REFUSES_PREPARE:
        if not mine.refused:
            yield f"{name} finds an outcome in {keys}", refused
    elif all(_key(world, key).intent for key in keys):
        yield f"{name} finds {keys} prepared already", agreed
    elif world.late and without is not Rule.DEADLINE_REFUSES_PREPARE:
        if not mine.refused:
            yield f"{name} comes past its deadline to {keys}", refused
    else:
        for key in keys:
            agreed = _with_key(agreed, key, _key(world, key)._replace(intent=True))
        if "b" in keys:
            agreed = agreed._replace(read_locked=True)
        yield f"{name} is accepted in {keys}", agreed
        if not mine.refused:
            yield f"{name} meets a conflict in {keys}", refused


def _decides(world: World, number: int, without: Rule | None) -> Steps[World]:
    """The coordinator asks the anchor to commit, having every yes, or to abort, at any time."""
    mine, name = world.coordinators[number], f"coordinator {number + 1}"
    anchor = 1 if number == 1 and without is Rule.ANCHOR_IN_ID else 0
    ended = _driven(world, number, mine._replace(phase=Phase.ENDED))
    if len(mine.agreed) == len(KEYS):
        yield from _at_anchor(ended, anchor, Fate.COMMITTED, name, without)
    if without is Rule.ABORT_AT_ANCHOR and mine.refused:
        drops = mine._replace(phase=Phase.ENDED, drops=frozenset(KEYS))
        yield f"{name} tells all to abort", _told(_driven(world, number, drops), Fate.ABORTED)
    else:
        yield from _at_anchor(ended, anchor, Fate.ABORTED, name, without)


def _at_anchor(
    world: World, anchor: int, fate: Fate, who: str, without: Rule | None
) -> Steps[World]:
    """`who` asks the anchor to decide; it, and its client, are told what stands there."""
    lost = world.moved and without is Rule.ANCHOR_IS_A_KEY
    known = Fate.NONE if lost else world.records[anchor] or Fate.NONE
    holds = _key(world, KEYS[anchor]).intent and not lost
    if known is not Fate.NONE and without is not Rule.DECIDED_ONCE:
        yield f"{who} hears from the anchor: {known}", _told(world, known)
    elif fate is Fate.COMMITTED and not holds and without is not Rule.DECIDES_WITH_INTENT:
        if known is Fate.NONE:
            yield f"{who} is refused: the anchor holds no intent", world
    elif fate is Fate.ABORTED and world.forgotten:
        yield f"{who} hears: long forgotten", world
    else:
        yield f"{who} has the anchor write {fate}", _told(_decided(world, anchor, fate), fate)


def _decided(world: World, anchor: int, fate: Fate) -> World:
    records = list(world.records)
    records[anchor] = fate
    after = world._replace(
        records=(records[0], records[1]),
        ever_committed=world.ever_committed or fate is Fate.COMMITTED,
    )
    return _dropped(after, KEYS[anchor], fate)


def _dropped(world: World, key: str, fate: Fate) -> World:
    """The range of `key` applies a decision to its intent, if it has one, and remembers it."""
    mine = _key(world, key)
    applied = mine.applied + (fate is Fate.COMMITTED and mine.intent)
    after = _with_key(world, key, Key(intent=False, applied=applied, outcome=fate))
    return after._replace(read_locked=False) if key == "b" else after


def _resolves(world: World, key: str, without: Rule | None) -> Steps[World]:
    """Behind the answer, the anchor tells who holds an intent."""
    if not _key(world, key).intent:
        return
    for anchor, fate in enumerate(world.records):
        if fate is not Fate.NONE and not (world.moved and without is Rule.ANCHOR_IS_A_KEY):
            yield f"{key} is resolved: {fate}", _dropped(world, key, fate)
        if anchor == 0 and without is not Rule.ANCHOR_IN_ID:
            return


def _recovers(world: World, without: Rule | None) -> Steps[World]:
    """Past the deadline, a participant asks the anchor, and so does a client without answer."""
    if not world.late:
        return
    lost = world.moved and without is Rule.ANCHOR_IS_A_KEY
    for key in KEYS:
        if not _key(world, key).intent or (not lost and world.records[0] is not Fate.NONE):
            continue
        written = world
        if not lost and without is not Rule.ABORT_WRITTEN_FIRST:
            written = _decided(world, 0, Fate.ABORTED)
        yield (
            f"{key} asks the anchor, which has no record: aborted",
            _dropped(written, key, Fate.ABORTED),
        )
    if without is Rule.READ_LOCK_UNTIL_DECISION and world.read_locked:
        yield "the read lock drops at the deadline", world._replace(read_locked=False)


def _passes(world: World, without: Rule | None) -> Steps[World]:
    """What happens beside the transaction."""
    if not world.late:
        yield "the deadline passes", world._replace(late=True)
    if not world.split:
        after = world._replace(split=True)
        if without is Rule.SPLIT_CARRIES_INTENTS:
            after = _with_key(after, "z", _key(world, "z")._replace(intent=False))
        yield "the range of b and z splits between them", after
    if not world.moved:
        yield "the range of a splits: a lies in a new one", world._replace(moved=True)
    if _key(world, "b").intent and not world.read_locked and not world.overtaken:
        undecided = Fate.COMMITTED not in world.records and Fate.ABORTED not in world.records
        if undecided:
            yield "W overwrites r, and is answered", world._replace(overtaken=True)
    asked = "ab" if without is Rule.RECORD_AWAITS_EVERY_SPAN else KEYS
    done = not any(_key(world, key).intent for key in asked)
    # An abort needs no span to have answered: whoever asks later hears it anew.
    done = done or world.records[0] is Fate.ABORTED
    if world.late and done and not world.forgotten and world.records[0] is not Fate.NONE:
        forgetful = world._replace(records=(Fate.NONE, world.records[1]), forgotten=True)
        for key in KEYS:
            forgetful = _with_key(forgetful, key, _key(world, key)._replace(outcome=Fate.NONE))
        yield "the window is over: outcomes are forgotten", forgetful


def wrong(world: World) -> str:
    """The promise that is broken."""
    if any(key.applied > 1 for key in world.keys):
        return "a write was applied twice"
    if world.ever_committed:
        for name, key in zip(KEYS, world.keys, strict=True):
            if not key.intent and not key.applied:
                return f"committed, and what it wrote to {name} is lost"
        if Fate.ABORTED in world.told:
            return "a client was told aborted, and the transaction is committed"
        if world.overtaken:
            return "committed, though W overwrote before what it had read"
    elif any(key.applied for key in world.keys):
        return "aborted, and yet something was applied"
    return ""


def _key(world: World, key: str) -> Key:
    return world.keys[KEYS.index(key)]


def _with_key(world: World, key: str, value: Key) -> World:
    one, two, three = (value if name == key else _key(world, name) for name in KEYS)
    return world._replace(keys=(one, two, three))


def _driven(world: World, number: int, coordinator: Coordinator) -> World:
    one, two = (coordinator if n == number else world.coordinators[n] for n in COORDINATORS)
    return world._replace(coordinators=(one, two))


def _told(world: World, fate: Fate) -> World:
    return world._replace(told=world.told | {fate})


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="one transaction, two coordinators, two splits and a forgotten record",
            start=World(),
            steps=steps,
            wrong=wrong,
            needs=tuple(Rule),
        ),
    ),
)
