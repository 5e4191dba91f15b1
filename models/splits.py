"""Splits and merges of ranges, crashes in their middle and what completes them, exhaustively.

    python -m models splits

What is modelled. The range L holds the keys a and z. Its row in the store says which keys it
holds, in which generation, open at which epoch, and what intents it has; so does its descriptor
at the coordinator, which follows the store. N1 splits L: it pauses, writes one store batch under
its epoch (L keeps a, R is born with z), flips the descriptors by one compare-and-set, and
serves both. Whoever holds both merges them: it pauses, writes one batch under both epochs (L
takes z in, R is closed for good), flips, and serves the union. N1's session may end at any
moment, also in the middle; then N2 claims what is free, opens it at the next epoch, finds a shape
newer than the descriptor, and completes the flip. N1 may not know, and go on: its batches are
fenced, and its leases run out some time after the session, of each range at its own time. N2
commits in a range when the lease N1 had of it has run out. Once, somebody prepares z.

What is promised:

* who commits or prepares z holds the range that z belongs to in the store, and nobody else
  may still answer reads of z;
* an intent on z is always in the row of the range that z belongs to;
* in the end somebody serves every key, and the descriptors say so.

That a flip compares is not among the rules: whom a late flip names, the store's epochs fence, and
the shapes it writes, those in the store correct; without the comparison there is only more to
do again. (For a move, where no store has the last word, `leases.py` shows the need.)

Bounds: two keys, two nodes, one split, one merge, one intent, one session that ends.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    SPLIT_IN_ONE_BATCH = "a split shortens the range in one batch, and bears the child in the next"
    PAUSED_FOR_CHANGE = "a range serves on while its change of shape is under way"
    DOUBT_SETTLED = "a holder that gets no answer to its batch goes on with the old shape"
    SPLIT_CARRIES_INTENTS = "a split leaves intents in the old range"
    MERGE_CARRIES_INTENTS = "a merge forgets the intents of the range it takes in"
    STORED_SHAPE_STANDS = "who opens a range serves what the descriptor says"
    FLIP_COMPLETED = "who opens a range leaves a missing flip to others"
    MERGE_CLOSES_ABSORBED = "a merge leaves the range it took in open in the store"
    MERGE_CHECKS_BOTH_EPOCHS = "a merge checks the epoch of the left range only"
    MERGE_AFTER_BOTH_WAITS = "a range is merged while its predecessor's lease may run"


class Row(NamedTuple):
    """A range in the store."""

    keys: str
    generation: int
    epoch: int
    intent: bool = False
    closed: bool = False


class Descriptor(NamedTuple):
    """A range at the coordinator."""

    keys: str
    generation: int
    epoch: int
    holder: str


class Held(NamedTuple):
    """A range that a node has opened, as it has it in memory."""

    keys: str
    epoch: int
    intent: bool = False
    paused: bool = False
    leased: bool = True


class Change(Enum):
    """What a node is in the middle of."""

    NONE = "nothing"
    SPLITTING = "paused for a split"
    SHORTENED = "half of a split is written"
    SPLIT = "the split is written, its flip is not"
    MERGING = "paused for a merge"
    MERGED = "the merge is written, its flip is not"


class Node(NamedTuple):
    """What a node holds, and what it is in the middle of."""

    left: Held | None = None
    right: Held | None = None
    change: Change = Change.NONE
    intent: bool = False
    """Whether the records computed for that change have the intent on z."""


class World(NamedTuple):
    """One state of everything."""

    left: Row = Row("az", 1, 1)
    right: Row | None = None
    left_descriptor: Descriptor = Descriptor("az", 1, 1, "N1")
    right_descriptor: Descriptor | None = None
    n1: Node = Node(left=Held("az", 1))
    n2: Node = Node()
    session: bool = True
    """N1's, at the coordinator."""
    prepared: bool = False
    """There is an intent on z."""
    merges: int = 0


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    if world.session:
        yield "N1's session ends", world._replace(session=False)
    else:
        for side, held in (("L", world.n1.left), ("R", world.n1.right)):
            if held is not None and held.leased:
                after = _hold(world, "N1", side, held._replace(leased=False))
                yield f"N1's lease of {side} runs out", after
    for name in ("N1", "N2"):
        if not world.prepared:
            for side in _who_commits(world, name):
                yield f"{name} prepares z in {side}", _prepared(world, name, side)
        yield from _splits(world, name, without)
        yield from _merges(world, name, without)
        yield from _flips(world, name)
    yield from _takes_over(world, without)


def _row(world: World, side: str) -> Row | None:
    return world.left if side == "L" else world.right


def _node(world: World, name: str) -> Node:
    return world.n1 if name == "N1" else world.n2


def _with_node(world: World, name: str, node: Node) -> World:
    return world._replace(n1=node) if name == "N1" else world._replace(n2=node)


def _held(world: World, name: str, side: str) -> Held | None:
    node = _node(world, name)
    return node.left if side == "L" else node.right


def _hold(world: World, name: str, side: str, held: Held | None) -> World:
    node = _node(world, name)
    node = node._replace(left=held) if side == "L" else node._replace(right=held)
    return _with_node(world, name, node)


def _who_commits(world: World, name: str) -> list[str]:
    """The ranges in which a node may commit z now, as far as it and the store can tell."""
    found = []
    for side in ("L", "R"):
        held, row = _held(world, name, side), _row(world, side)
        predecessor = _held(world, "N1", side) if name == "N2" else None
        waits = predecessor is not None and predecessor.leased
        if (
            held is not None
            and row is not None
            and "z" in held.keys
            and held.epoch == row.epoch
            and not (held.paused or row.closed or waits)
        ):
            found.append(side)
    return found


def _prepared(world: World, name: str, side: str) -> World:
    held, row = _held(world, name, side), _row(world, side)
    if held is None or row is None:
        return world
    after = _hold(world, name, side, held._replace(intent=True))
    written = row._replace(intent=True)
    after = after._replace(left=written) if side == "L" else after._replace(right=written)
    return after._replace(prepared=True)


def _splits(world: World, name: str, without: Rule | None) -> Steps[World]:
    """N1 splits L, up to the flip."""
    node = _node(world, name)
    held = node.left
    if name != "N1" or held is None:
        return
    if node.change is Change.NONE and held.keys == "az" and world.right is None:
        pauses = without is not Rule.PAUSED_FOR_CHANGE
        paused = held._replace(paused=pauses)
        changing = Node(paused, node.right, Change.SPLITTING, intent=held.intent)
        yield "N1 pauses L for a split", world._replace(n1=changing)
    elif node.change in {Change.SPLITTING, Change.SHORTENED}:
        if world.left.epoch != held.epoch:
            yield "N1's batch is fenced: it drops L", world._replace(n1=Node())
            return
        carried = node.intent and without is not Rule.SPLIT_CARRIES_INTENTS
        intent = node.intent and not carried
        short = world.left._replace(keys="a", generation=2, intent=intent)
        child = Row("z", 2, 1, carried)
        if without is Rule.SPLIT_IN_ONE_BATCH and node.change is Change.SPLITTING:
            half = node._replace(change=Change.SHORTENED)
            yield "N1 writes that L keeps a", world._replace(left=short, n1=half)
            return
        written = world._replace(left=short, right=child)
        # In memory the new shape follows; nothing is served before the flip.
        after = held._replace(keys="a", intent=intent)
        if without is Rule.PAUSED_FOR_CHANGE:
            after = held
        split = Node(after, None, Change.SPLIT, node.intent)
        yield "N1 writes the split", written._replace(n1=split)
        if without is Rule.DOUBT_SETTLED:
            doubtful = Node(held._replace(paused=False), None)
            yield "N1 writes the split, hears nothing, and goes on", written._replace(n1=doubtful)


def _merges(world: World, name: str, without: Rule | None) -> Steps[World]:
    """A node that holds both merges them, up to the flip."""
    node = _node(world, name)
    left, right = node.left, node.right
    if left is None or right is None or world.right is None:
        return
    if node.change is Change.NONE and not (left.paused or right.paused) and not world.merges:
        before = (world.n1.left, world.n1.right) if name == "N2" else ()
        waits = any(held is not None and held.leased for held in before)
        if not waits or without is Rule.MERGE_AFTER_BOTH_WAITS:
            intent = left.intent or right.intent
            if without is Rule.MERGE_CARRIES_INTENTS:
                intent = left.intent
            changing = Node(
                left._replace(paused=True), right._replace(paused=True), Change.MERGING, intent
            )
            yield f"{name} pauses L and R for a merge", _with_node(world, name, changing)
    elif node.change is Change.MERGING:
        both = without is not Rule.MERGE_CHECKS_BOTH_EPOCHS
        if world.left.epoch != left.epoch or (both and world.right.epoch != right.epoch):
            yield f"{name}'s batch is fenced: it drops both", _with_node(world, name, Node())
            return
        union = world.left._replace(
            keys="az", generation=world.left.generation + 1, intent=node.intent
        )
        closes = without is not Rule.MERGE_CLOSES_ABSORBED
        whole = left._replace(keys="az", intent=node.intent)
        merged = world._replace(
            left=union, right=world.right._replace(closed=closes), merges=world.merges + 1
        )
        yield f"{name} writes the merge", _with_node(merged, name, Node(whole, None, Change.MERGED))


def _flips(world: World, name: str) -> Steps[World]:
    """The flip of a change that is written arrives, and finds the descriptors as known or not."""
    node = _node(world, name)
    left = node.left
    if left is None or node.change not in {Change.SPLIT, Change.MERGED}:
        return
    found, other = world.left_descriptor, world.right_descriptor
    ours = (found.holder, found.epoch) == (name, left.epoch)
    if node.change is Change.SPLIT:
        fits = ours and found.generation == 1 and other is None
        child = Descriptor("z", 2, 1, name)
        flipped = world._replace(
            left_descriptor=found._replace(keys="a", generation=2), right_descriptor=child
        )
        serves = Node(left._replace(keys="a", paused=False), Held("z", 1, node.intent))
    else:
        fits = ours and other is not None and other.holder == name
        union = found._replace(keys="az", generation=found.generation + 1)
        flipped = world._replace(left_descriptor=union, right_descriptor=None)
        serves = Node(left._replace(paused=False))
    if fits:
        yield f"{name}'s flip is written: it serves", _with_node(flipped, name, serves)
    else:
        yield f"{name}'s flip is refused: it drops all", _with_node(world, name, Node())


def _takes_over(world: World, without: Rule | None) -> Steps[World]:
    """N2 claims what is free, opens it, and completes what it finds unfinished."""
    for side in ("L", "R"):
        found = world.left_descriptor if side == "L" else world.right_descriptor
        row, held = _row(world, side), _held(world, "N2", side)
        if found is None or row is None:
            continue
        free = not found.holder or (found.holder == "N1" and not world.session)
        if free:
            claimed = found._replace(epoch=found.epoch + 1, holder="N2")
            yield f"N2 claims {side} at epoch {claimed.epoch}", _described(world, side, claimed)
        elif found.holder == "N2" and held is None and not row.closed and found.epoch > row.epoch:
            opened = row._replace(epoch=found.epoch)
            after = world._replace(left=opened) if side == "L" else world._replace(right=opened)
            known = found.generation == row.generation
            keys = found.keys if without is Rule.STORED_SHAPE_STANDS else row.keys
            waits = not known and without is not Rule.STORED_SHAPE_STANDS
            paused = waits and without is not Rule.FLIP_COMPLETED
            mine = Held(keys, found.epoch, row.intent, paused=paused)
            yield f"N2 opens {side}", _hold(after, "N2", side, mine)
    left, found = world.n2.left, world.left_descriptor
    opening = left is not None and left.paused and world.n2.change is Change.NONE
    if left is not None and opening and found.generation < world.left.generation:
        served = _hold(world, "N2", "L", left._replace(paused=False))
        completed = found._replace(keys=world.left.keys, generation=world.left.generation)
        after = served._replace(left_descriptor=completed)
        if world.left.keys == "az":
            yield "N2 completes the merge", after._replace(right_descriptor=None)
        elif world.right is not None:
            child = Descriptor("z", world.left.generation, 1, "")
            yield "N2 completes the split", after._replace(right_descriptor=child)


def _described(world: World, side: str, descriptor: Descriptor) -> World:
    if side == "L":
        return world._replace(left_descriptor=descriptor)
    return world._replace(right_descriptor=descriptor)


def _owner(world: World) -> str:
    """The ranges that z belongs to in the store."""
    rows = (("L", world.left), ("R", world.right))
    return "".join(
        side for side, row in rows if row is not None and not row.closed and "z" in row.keys
    )


def wrong(world: World) -> str:
    """The promise that is broken."""
    owner = _owner(world)
    if len(owner) != 1:
        return f"z belongs to {'two ranges' if owner else 'no range'} in the store"
    row = _row(world, owner)
    if world.prepared and row is not None and not row.intent:
        return f"z belongs to {owner}, which does not know of the intent on it"
    for name in ("N1", "N2"):
        for side in _who_commits(world, name):
            if side != owner:
                return f"{name} commits z in {side}, and it belongs to {owner}"
            for other, where in (("N1", "L"), ("N1", "R"), ("N2", "L"), ("N2", "R")):
                held = _held(world, other, where)
                reads = held is not None and held.leased and not held.paused and "z" in held.keys
                if reads and (other, where) != (name, side):
                    return f"{name} commits z in {side}, and {other} reads it in {where}"
    return ""


def stuck(world: World) -> str:
    """What is missing where nothing more can happen."""
    owner = _owner(world)
    found = world.left_descriptor if owner == "L" else world.right_descriptor
    if found is None or "z" not in found.keys or owner not in _who_commits(world, "N2"):
        return "nobody will ever serve z"
    return ""


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="a split, a merge and a takeover",
            start=World(),
            steps=steps,
            wrong=wrong,
            stuck=stuck,
            needs=tuple(Rule),
        ),
    ),
)
