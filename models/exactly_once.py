"""Exactly once: lost answers, resends, questions by id, splits and merges, exhaustively.

    python -m models exactly_once

What is modelled. A client adds 1 to the keys a and z, blindly, under one id whose anchor is a. It
sends the commit, and again after a timeout; both sends and their answers are delayed at will, and
none is delivered twice: a refusal is written nowhere. Where one range holds both keys the commit
is one message: it joins the open batch, and is durable later. After a split it becomes a two-
phase commit under the same id, prepared at each key and decided at the anchor; after a merge it
may be one message again. Anybody may have an undecided transaction aborted at its anchor: a
coordinator that met a conflict, a participant past the deadline. A range forgets outcomes when
its outcome horizon passes the birth of the id, and then answers "maybe" to what it does not know.
A commit is not forgotten at the anchor before both keys have it. The client may ask by id.

What is promised:

* the additions happen at both keys once, or at neither;
* a client that is told "not committed" can do its work again under another id: it never commits.

That a participant which knows the outcome binds the others is no rule here: a split carries
outcomes to every child, so no participant can be prepared beside it; what it knows only makes a
better answer than "maybe".

What the client may conclude is modelled at its most generous: once every send is answered and none
with "committed", the transaction did not and will not happen, even if an answer was "maybe".

Bounds: two sends, one question, one split, one merge; each range forgets once.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    RESOLVE_WRITES_ABORTED = "a question by an unknown id is answered without writing aborted"
    ALL_SENDS_ANSWERED = "a client takes one refusal for all sends of the id"
    FRAMES_TAKEN_ONCE = "a frame that was answered by a refusal is taken again when a copy arrives"
    RESEND_JOINS = "a resend joins the batch beside the original, instead of sharing its answer"
    OWN_INTENT_IS_IN_PROGRESS = "a resend passes the locks of its own prepared transaction"
    OUTCOME_FOUND_FIRST = "a resend is not looked up among the outcomes"
    OUTCOMES_TO_EVERY_CHILD = "a split leaves outcomes with the anchor's child only"
    HORIZON = "an id that may have been forgotten is taken for a new one"
    MERGE_TAKES_HIGHER_HORIZON = "a merge takes the lower of two outcome horizons"
    GENERATION_CHECKED = "a commit sent to an older shape of the range is applied as far as it goes"


class Fate(StrEnum):
    """What is known, or told, of the transaction."""

    NONE = "unknown"
    COMMITTED = "committed"
    ABORTED = "not committed"
    MAYBE = "maybe"


class Span(NamedTuple):
    """One key, and what its range keeps for it."""

    applied: int = 0
    intent: bool = False
    outcome: Fate = Fate.NONE
    horizon_passed: bool = False


class Layout(StrEnum):
    """Which ranges there are."""

    ONE = "one range"
    SPLIT = "split"
    MERGED = "merged"


class Stage(StrEnum):
    """Where a send is."""

    UNSENT = "unsent"
    SENT = "sent"
    JOINED = "in the open batch"
    PREPARING = "preparing"
    ANSWERED = "answered"


class Send(NamedTuple):
    """One message with the commit, and what became of it."""

    stage: Stage = Stage.UNSENT
    agreed: frozenset[str] = frozenset()
    answer: Fate = Fate.NONE


KEYS = "az"
SENDS = (0, 1)


class World(NamedTuple):
    """One state of everything."""

    spans: tuple[Span, Span] = (Span(), Span())
    layout: Layout = Layout.ONE
    sends: tuple[Send, Send] = (Send(), Send())
    joined: int = 0
    """How often the open batch holds the transaction."""
    copied: bool = False
    """A copy of a frame that was refused is still on its way."""
    told: Fate = Fate.NONE
    """What the client concluded."""
    ever_committed: bool = False


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    for number in SENDS:
        send = world.sends[number]
        earlier = number == 0 or world.sends[0].stage is not Stage.UNSENT
        if send.stage is Stage.UNSENT and earlier and world.told is Fate.NONE:
            yield f"the client sends #{number + 1}", _sent(world, number, Send(Stage.SENT))
        elif send.stage is Stage.SENT:
            yield from _arrives(world, number, without)
        elif send.stage is Stage.PREPARING:
            for key in KEYS:
                if key not in send.agreed:
                    yield from _prepares(world, number, key, without)
            yield from _decides(world, number)
    if world.joined:
        yield "the batch is durable, and answered", _durable(world)
    elif world.copied and world.layout is not Layout.SPLIT and _known(world, KEYS) is Fate.NONE:
        # What it met the first time is forgotten, or was undone: absent, written, absent again.
        yield (
            "a copy of the refused frame joins the open batch",
            world._replace(copied=False, joined=1),
        )
    yield from _recovers(world)
    yield from _concludes(world, without)
    yield from _reshapes(world, without)


def _arrives(world: World, number: int, without: Rule | None) -> Steps[World]:
    """The commit arrives as one message."""
    name = f"send #{number + 1}"
    if world.layout is Layout.SPLIT and without is not Rule.GENERATION_CHECKED:
        preparing = _sent(world, number, Send(Stage.PREPARING))
        yield f"{name} finds the range split: it is prepared at both keys", preparing
        return
    keys = "a" if world.layout is Layout.SPLIT else KEYS
    known = _known(world, keys)
    if known is not Fate.NONE and without is not Rule.OUTCOME_FOUND_FIRST:
        yield f"{name} finds the outcome: {known}", _answered(world, number, known)
    elif world.joined and without is not Rule.RESEND_JOINS:
        yield f"{name} shares the answer of the first", _sent(world, number, Send(Stage.JOINED))
    elif (
        any(_span(world, key).intent for key in keys)
        and without is not Rule.OWN_INTENT_IS_IN_PROGRESS
    ):
        return
    elif _forgotten(world, keys, without):
        yield f"{name} was born below the horizon: maybe", _answered(world, number, Fate.MAYBE)
    elif keys == "a":
        applied = _with_span(world, "a", _span(world, "a")._replace(applied=1))
        yield f"{name} is applied to a alone", applied._replace(ever_committed=True)
    else:
        joined = _sent(world, number, Send(Stage.JOINED))
        yield f"{name} joins the open batch", joined._replace(joined=world.joined + 1)
        refused = _answered(world, number, Fate.ABORTED)
        copied = without is Rule.FRAMES_TAKEN_ONCE
        yield f"{name} meets a conflict", refused._replace(copied=copied)


def _durable(world: World) -> World:
    for key in KEYS:
        span = _span(world, key)
        added = span._replace(applied=span.applied + world.joined, outcome=Fate.COMMITTED)
        world = _with_span(world, key, added)
    for number in SENDS:
        if world.sends[number].stage is Stage.JOINED:
            world = _answered(world, number, Fate.COMMITTED)
    return world._replace(joined=0, ever_committed=True)


def _prepares(world: World, number: int, key: str, without: Rule | None) -> Steps[World]:
    """The prepare of one key arrives at the range that holds it."""
    send, name = world.sends[number], f"send #{number + 1}'s prepare at {key}"
    keys = key if world.layout is Layout.SPLIT else KEYS
    known, span = _known(world, keys), _span(world, key)
    agreed = _sent(world, number, send._replace(agreed=send.agreed | {key}))
    if known is not Fate.NONE and without is not Rule.OUTCOME_FOUND_FIRST:
        yield f"{name} finds the outcome: {known}", _answered(world, number, known)
    elif world.joined:
        return
    elif span.intent:
        yield f"{name} finds it prepared", agreed
    elif _forgotten(world, keys, without):
        yield f"{name} was born below the horizon: maybe", _answered(world, number, Fate.MAYBE)
    else:
        yield f"{name} is accepted", _with_span(agreed, key, span._replace(intent=True))


def _decides(world: World, number: int) -> Steps[World]:
    """The coordinator of a send asks the anchor to commit, or gives up and has it abort."""
    name = f"send #{number + 1}"
    keys = "a" if world.layout is Layout.SPLIT else KEYS
    known, anchor = _known(world, keys), _span(world, "a")
    if known is not Fate.NONE:
        yield f"{name} hears from the anchor: {known}", _answered(world, number, known)
        return
    if len(world.sends[number].agreed) == len(KEYS):
        if anchor.intent:
            committed = _settled(world, "a", Fate.COMMITTED)._replace(ever_committed=True)
            yield (
                f"{name} has the anchor write committed",
                _answered(committed, number, Fate.COMMITTED),
            )
        else:
            yield f"{name} finds no intent at the anchor", _answered(world, number, Fate.MAYBE)
    aborted = _settled(world, "a", Fate.ABORTED)
    yield f"{name} has the anchor write aborted", _answered(aborted, number, Fate.ABORTED)


def _settled(world: World, key: str, fate: Fate) -> World:
    """The range of `key` applies the decision there and remembers it, for all its keys."""
    span = _span(world, key)
    applied = span.applied + (fate is Fate.COMMITTED and span.intent)
    settled = span._replace(intent=False, applied=applied, outcome=fate)
    return _with_span(world, key, settled)


def _recovers(world: World) -> Steps[World]:
    """An intent is resolved by what the anchor says; it writes aborted if it knows nothing."""
    fate = _known(world, "a" if world.layout is Layout.SPLIT else KEYS)
    for key in KEYS:
        if not _span(world, key).intent:
            continue
        if fate is not Fate.NONE:
            yield f"{key} is resolved: {fate}", _settled(world, key, fate)
        else:
            aborted = _settled(world, "a", Fate.ABORTED)
            what = f"{key} waited past the deadline: the anchor writes aborted"
            yield what, _settled(aborted, key, Fate.ABORTED)


def _concludes(world: World, without: Rule | None) -> Steps[World]:
    """The client draws its conclusion, from answers or by asking the anchor."""
    if world.told is not Fate.NONE or world.sends[0].stage is Stage.UNSENT:
        return
    sent = [send for send in world.sends if send.stage is not Stage.UNSENT]
    answers = [send.answer for send in sent if send.stage is Stage.ANSWERED]
    if Fate.COMMITTED in answers:
        yield "the client learns: committed", world._replace(told=Fate.COMMITTED)
        return
    one_is_enough = without is Rule.ALL_SENDS_ANSWERED and Fate.ABORTED in answers
    if len(answers) == len(sent) or one_is_enough:
        yield "the client concludes: not committed", world._replace(told=Fate.ABORTED)
    keys = "a" if world.layout is Layout.SPLIT else KEYS
    known = _known(world, keys)
    if world.joined:
        return
    if known is not Fate.NONE:
        yield f"the client asks by id: {known}", world._replace(told=known)
    elif any(_span(world, key).horizon_passed for key in keys):
        yield "the client asks by id: maybe", world._replace(told=Fate.MAYBE)
    elif without is Rule.RESOLVE_WRITES_ABORTED:
        yield "the client asks by id, which is unknown", world._replace(told=Fate.ABORTED)
    else:
        aborted = _settled(world, "a", Fate.ABORTED)
        yield "the client asks by id: aborted is written", aborted._replace(told=Fate.ABORTED)


def _reshapes(world: World, without: Rule | None) -> Steps[World]:
    """Ranges split, merge and forget."""
    if world.layout is Layout.ONE and not world.joined:
        known = _known(world, KEYS)
        carried = known if without is not Rule.OUTCOMES_TO_EVERY_CHILD else Fate.NONE
        after = _with_span(world, "a", _span(world, "a")._replace(outcome=known))
        after = _with_span(after, "z", _span(world, "z")._replace(outcome=carried))
        yield "the range splits between a and z", after._replace(layout=Layout.SPLIT)
    elif world.layout is Layout.SPLIT:
        known, horizons = _known(world, KEYS), [span.horizon_passed for span in world.spans]
        lower = without is Rule.MERGE_TAKES_HIGHER_HORIZON
        passed = all(horizons) if lower else any(horizons)
        after = world._replace(layout=Layout.MERGED)
        for key in KEYS:
            merged = _span(world, key)._replace(outcome=known, horizon_passed=passed)
            after = _with_span(after, key, merged)
        yield "the ranges merge", after
    for keys in ("a", "z") if world.layout is Layout.SPLIT else (KEYS,):
        unheard = any(span.intent for span in world.spans)
        kept = "a" in keys and _known(world, keys) is Fate.COMMITTED and unheard
        if not kept and not world.joined and not _span(world, keys[0]).horizon_passed:
            after = world
            for key in keys:
                passed_by = _span(world, key)._replace(outcome=Fate.NONE, horizon_passed=True)
                after = _with_span(after, key, passed_by)
            yield f"the horizon of {keys} passes the birth of the id", after


def wrong(world: World) -> str:
    """The promise that is broken."""
    if any(span.applied > 1 for span in world.spans):
        return "an addition happened twice"
    if world.ever_committed:
        if world.told is Fate.ABORTED:
            return "the client was told it did not commit, and does it again; yet it committed"
        for key in KEYS:
            if not _span(world, key).applied and not _span(world, key).intent:
                return f"it committed, and the addition to {key} is lost"
    return ""


def _known(world: World, keys: str) -> Fate:
    """The outcome known to the range that holds `keys`."""
    found = {_span(world, key).outcome for key in keys} - {Fate.NONE}
    return max(found, default=Fate.NONE)


def _forgotten(world: World, keys: str, without: Rule | None) -> bool:
    passed = any(_span(world, key).horizon_passed for key in keys)
    return passed and without is not Rule.HORIZON


def _span(world: World, key: str) -> Span:
    return world.spans[KEYS.index(key)]


def _with_span(world: World, key: str, span: Span) -> World:
    one, two = (span if name == key else _span(world, name) for name in KEYS)
    return world._replace(spans=(one, two))


def _sent(world: World, number: int, send: Send) -> World:
    one, two = (send if n == number else world.sends[n] for n in SENDS)
    return world._replace(sends=(one, two))


def _answered(world: World, number: int, fate: Fate) -> World:
    return _sent(world, number, Send(Stage.ANSWERED, answer=fate))


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="two sends of one id, a question, a split and a merge",
            start=World(),
            steps=steps,
            wrong=wrong,
            needs=tuple(Rule),
        ),
    ),
)
