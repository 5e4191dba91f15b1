"""Commits in one range and across ranges, beside latest reads and snapshots, exhaustively.

    python -m models range_commits

What is modelled. A one-range commit is validated at the very instant it joins the open batch of
its range. If a batch not yet durable, or a prepared lock, writes what it reads, or a prepared lock
is in the way of what it writes, it waits, and everything starts from the beginning. A batch is
first *frozen*: it admits nobody more, its floor (the highest timestamp issued) is noted, and then
its timestamps are requested. It gets its block, in the order of joining; it is durable; only then
are its members answered. A prepare is a member of a batch too: it holds its locks, on what it
writes and on what it reads, from joining until the decision is applied. A cross-range commit
draws its timestamp after the last prepare is durable, is answered, and is applied in each
range behind the answer.

A snapshot reader at R waits for what a frozen batch or a prepared lock may write at or below R,
which is so if R is above the floor. A latest read waits for every frozen batch and every prepared
lock that writes what it reads, and for nothing else: it is one step here, sent and answered at
the instant it succeeds, for to be sent earlier only frees it.

What is promised: the history of all clients is strictly serializable.

Bounds: two keys, in one range or one in each of two, three or four transactions, each tried once.
"""

from __future__ import annotations

from enum import Enum

from models.checker import Judge, Model, Scenario, Steps
from models.range_world import (
    Batches,
    Kind,
    Phase,
    Progress,
    Transaction,
    World,
    Written,
    in_range,
    replaced,
    told,
    value_at,
)


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    VALIDATED_ON_JOINING = "a commit is validated when it arrives, not when its wait is over"
    READS_WAIT_FOR_UNDURABLE = "a commit joins though a batch not yet durable writes what it read"
    TIMESTAMPS_FOLLOW_JOINING = "a block is handed out in another order than that of joining"
    FROZEN_ADMITS_NOBODY = "a commit joins a frozen batch and uses a timestamp left in its block"
    WAIT_FOR_PREPARED = "a commit does not wait for prepared writes of what it reads"
    PREPARED_READ_LOCKS = "a prepare locks what it writes only"
    PREPARES_QUEUE = "a prepare is made durable at once, past the open batch"
    LOCKED_UNTIL_APPLIED = "prepared locks drop when the decision falls, before it is applied"
    FLOOR_BEFORE_REQUEST = "the floor is noted when the block arrives, not before it is requested"
    SNAPSHOTS_WAIT_FOR_FROZEN = "a snapshot reader above the floor passes a frozen batch"
    SNAPSHOTS_WAIT_FOR_PREPARED = "a snapshot reader above the floor passes a prepared lock"
    LATEST_WAITS_FOR_FROZEN = "a latest read passes a frozen batch"
    LATEST_WAITS_FOR_PREPARED = "a latest read passes a prepared lock"


class Actors:
    """What some transactions may do next to ranges that each hold the keys named."""

    def __init__(self, ranges: tuple[str, ...], *transactions: Transaction) -> None:
        """`ranges` holds the keys of each range, a letter each."""
        self.ranges = ranges
        self.transactions = transactions
        self.judge = Judge(
            {
                one.name: dict.fromkeys(one.writes, number)
                for number, one in enumerate(transactions, 1)
                if one.writes
            }
        )
        self.start = World(
            progress=(Progress(),) * len(transactions), batches=(Batches(),) * len(ranges)
        )

    def wrong(self, world: World) -> str:
        """What no order of the transactions explains."""
        return self.judge.wrong(world.history)

    def steps(self, world: World, without: Rule | None) -> Steps[World]:
        """Everything that can happen next."""
        for index, one in enumerate(self.transactions):
            if one.kind is Kind.LATEST:
                yield from self._latest(world, index, without)
            elif one.kind is Kind.SNAPSHOT:
                yield from self._snapshot(world, index, without)
            else:
                yield from self._commit(world, index, without)
                if one.kind is Kind.CROSS:
                    yield from self._decide(world, index, without)
        for at in range(len(self.ranges)):
            yield from self._write_batch(world, at, without)

    def _range_of(self, key: str) -> int:
        return next(at for at, keys in enumerate(self.ranges) if key in keys)

    def _ranges_of(self, one: Transaction) -> list[int]:
        return [
            at for at, keys in enumerate(self.ranges) if set(keys) & set(one.reads + one.writes)
        ]

    def _latest(self, world: World, index: int, without: Rule | None) -> Steps[World]:
        one = self.transactions[index]
        if world.progress[index].phase is not Phase.NEW:
            return
        for key in one.reads:
            batches = world.batches[self._range_of(key)]
            stops = without is not Rule.LATEST_WAITS_FOR_FROZEN
            if stops and self._commits_to(batches.writing, key):
                return
            stops = without is not Rule.LATEST_WAITS_FOR_PREPARED
            if stops and self._prepared_writes(world, index, key):
                return
        reads = {key: value_at(world, key, world.clock) for key in one.reads}
        yield (
            f"{one.name} is sent and reads the latest {told(reads)}",
            replaced(world, index, Progress(Phase.ENDED))._replace(
                history=world.history.begin(one.name).answer(one.name, reads)
            ),
        )

    def _snapshot(self, world: World, index: int, without: Rule | None) -> Steps[World]:
        one, mine = self.transactions[index], world.progress[index]
        if mine.phase is Phase.NEW:
            drawn = world._replace(clock=world.clock + 1, history=world.history.begin(one.name))
            yield (
                f"{one.name} draws R={drawn.clock}",
                replaced(drawn, index, Progress(Phase.READING, drawn.clock)),
            )
        elif mine.phase is Phase.READING:
            for key in one.reads:
                if key in dict(mine.seen) or self._hides(world, index, key, mine.read_at, without):
                    continue
                seen = {**dict(mine.seen), key: value_at(world, key, mine.read_at)}
                after = mine._replace(seen=tuple(sorted(seen.items())))
                if len(seen) == len(one.reads):
                    yield (
                        f"{one.name} reads {told(seen)} at R={mine.read_at}",
                        replaced(world, index, Progress(Phase.ENDED))._replace(
                            history=world.history.answer(one.name, seen)
                        ),
                    )
                else:
                    yield f"{one.name} reads {told(seen)}", replaced(world, index, after)

    def _hides(self, world: World, index: int, key: str, at: int, without: Rule | None) -> bool:
        """Whether something that writes `key` stops a reader at that timestamp."""
        batches = world.batches[self._range_of(key)]
        passes = without is Rule.SNAPSHOTS_WAIT_FOR_FROZEN or at <= batches.floor
        if not passes and self._commits_to(batches.writing, key):
            return True
        if without is Rule.SNAPSHOTS_WAIT_FOR_PREPARED:
            return False
        return any(at > floor for floor in self._prepared_writes(world, index, key))

    def _prepared_writes(self, world: World, index: int, key: str) -> list[int]:
        """The floors of prepared locks of others that write `key`."""
        where = self.ranges[self._range_of(key)]
        return [
            dict(other.floors)[where]
            for number, other in enumerate(world.progress)
            if number != index
            and key in self.transactions[number].writes
            and where in dict(other.floors)
        ]

    def _commits_to(self, members: tuple[int, ...], key: str) -> bool:
        """Whether a one-range commit among the members of a batch writes `key`."""
        several = (self.transactions[index] for index in members)
        return any(one.kind is Kind.COMMIT and key in one.writes for one in several)

    def _commit(self, world: World, index: int, without: Rule | None) -> Steps[World]:
        one, mine = self.transactions[index], world.progress[index]
        if mine.phase is Phase.NEW and one.reads:
            at = world.clock + 1
            if any(self._hides(world, index, key, at, without) for key in one.reads):
                return
            seen = {key: value_at(world, key, at) for key in one.reads}
            sent = Progress(Phase.SENT, at, tuple(sorted(seen.items())))
            yield (
                f"{one.name} draws R={at}, reads {told(seen)} and is sent",
                replaced(world, index, sent)._replace(
                    clock=at, history=world.history.begin(one.name)
                ),
            )
        elif mine.phase is Phase.NEW:
            begun = world._replace(history=world.history.begin(one.name))
            for at in self._ranges_of(one):
                yield from self._joins(begun, index, at, without)
        elif mine.phase in {Phase.SENT, Phase.VALIDATED}:
            for at in self._ranges_of(one):
                if self.ranges[at] not in dict(mine.floors):
                    yield from self._joins(world, index, at, without)

    def _joins(self, world: World, index: int, at: int, without: Rule | None) -> Steps[World]:
        """The commit is validated and joins in one range, or waits, or fails."""
        one, mine = self.transactions[index], world.progress[index]
        reads = [key for key in one.reads if key in self.ranges[at]]
        stale = any(
            key in reads and committed > mine.read_at for key, committed, _by in world.versions
        )
        if stale and mine.phase is not Phase.VALIDATED:
            yield f"{one.name} finds a newer version, and fails", self._failed(world, index)
        elif not self._must_wait(world, index, at, without):
            yield from self._joined(world, index, at, without)
        elif without is Rule.VALIDATED_ON_JOINING and mine.phase is Phase.SENT:
            yield (
                f"{one.name} is validated, and waits",
                replaced(world, index, mine._replace(phase=Phase.VALIDATED)),
            )

    def _must_wait(self, world: World, index: int, at: int, without: Rule | None) -> bool:
        """Whether something is in the way of joining, which will go away by itself."""
        one, batches, keys = self.transactions[index], world.batches[at], self.ranges[at]
        undurable = batches.joined + batches.writing
        for key in one.reads:
            waits = without is not Rule.READS_WAIT_FOR_UNDURABLE
            if waits and key in keys and self._commits_to(undurable, key):
                return True
            waits = without is not Rule.WAIT_FOR_PREPARED
            if waits and key in keys and self._prepared_writes(world, index, key):
                return True
        for number, other in enumerate(world.progress):
            if number != index and keys in dict(other.floors):
                locked = self.transactions[number].writes
                if without is not Rule.PREPARED_READ_LOCKS:
                    locked += self.transactions[number].reads
                if set(locked) & set(one.writes) & set(keys):
                    return True
        return False

    def _joined(self, world: World, index: int, at: int, without: Rule | None) -> Steps[World]:
        one, mine, batches = self.transactions[index], world.progress[index], world.batches[at]
        where = self.ranges[at]
        if one.kind is Kind.CROSS:
            locks = {**dict(mine.floors), where: world.clock}
            after = mine._replace(phase=Phase.SENT, floors=tuple(sorted(locks.items())))
            if without is Rule.PREPARES_QUEUE:
                after = after._replace(prepared=mine.prepared | {where})
                yield f"{one.name} locks in {where}, durable", replaced(world, index, after)
                return
            what = f"{one.name} locks in {where} and joins"
        else:
            after = mine._replace(phase=Phase.JOINED)
            what = f"{one.name} joins"
        joined = batches._replace(joined=(*batches.joined, index))
        yield what, in_range(replaced(world, index, after), at, joined)
        if without is Rule.FROZEN_ADMITS_NOBODY and batches.spare and one.kind is Kind.COMMIT:
            late = batches._replace(writing=(*batches.writing, index), spare=False)
            yield f"{what} the frozen batch", in_range(replaced(world, index, after), at, late)

    def _failed(self, world: World, index: int) -> World:
        for at, batches in enumerate(world.batches):
            world = in_range(
                world,
                at,
                batches._replace(
                    joined=tuple(i for i in batches.joined if i != index),
                    writing=tuple(i for i in batches.writing if i != index),
                ),
            )
        history = world.history.refuse(self.transactions[index].name)
        return replaced(world, index, Progress(Phase.ENDED))._replace(history=history)

    def _decide(self, world: World, index: int, without: Rule | None) -> Steps[World]:
        one, mine = self.transactions[index], world.progress[index]
        if mine.phase is Phase.SENT and len(mine.prepared) == len(self._ranges_of(one)):
            at = world.clock + 1
            decided = mine._replace(phase=Phase.DECIDED, committed_at=at)
            if without is Rule.LOCKED_UNTIL_APPLIED:
                decided = decided._replace(floors=())
            yield (
                f"{one.name} is decided at C={at}, and answered",
                replaced(world, index, decided)._replace(
                    clock=at, history=world.history.answer(one.name, dict(mine.seen))
                ),
            )
        elif mine.phase is Phase.DECIDED:
            for where in sorted(mine.prepared):
                left = mine._replace(
                    prepared=mine.prepared - {where},
                    floors=tuple(pair for pair in mine.floors if pair[0] != where),
                )
                if not left.prepared:
                    left = Progress(Phase.ENDED)
                rows = {(key, mine.committed_at, index + 1) for key in one.writes if key in where}
                yield (
                    f"{one.name} is applied in {where}",
                    replaced(world, index, left)._replace(versions=world.versions | rows),
                )

    def _write_batch(self, world: World, at: int, without: Rule | None) -> Steps[World]:
        batches, where = world.batches[at], self.ranges[at]
        commits = [i for i in batches.writing if self.transactions[i].kind is Kind.COMMIT]
        if batches.stage is Written.FROZEN and not commits:
            yield self._durable(world, at, commits, without)
        elif batches.stage is Written.NONE and batches.joined:
            frozen = Batches((), batches.joined, Written.FROZEN, world.clock)
            what = f"the batch of {where} is frozen, floor {world.clock}, its block requested"
            yield what, in_range(world, at, frozen)
        elif batches.stage is Written.FROZEN:
            spare = without is Rule.FROZEN_ADMITS_NOBODY
            drawn = batches._replace(stage=Written.DRAWN, first=world.clock + 1, spare=spare)
            clock = world.clock + len(commits) + spare
            what = f"the oracle draws timestamps up to {clock} for {where}"
            yield what, in_range(world._replace(clock=clock), at, drawn)
        elif batches.stage is Written.DRAWN:
            if without is Rule.FLOOR_BEFORE_REQUEST and batches.floor < world.clock:
                late = batches._replace(floor=world.clock)
                yield f"{where} notes the floor {world.clock}", in_range(world, at, late)
            yield self._durable(world, at, commits, without)

    def _durable(
        self, world: World, at: int, commits: list[int], without: Rule | None
    ) -> tuple[str, World]:
        """Everything of the batch becomes visible at once, and is answered."""
        batches, where = world.batches[at], self.ranges[at]
        after = in_range(world, at, Batches(joined=batches.joined))
        order = reversed(commits) if without is Rule.TIMESTAMPS_FOLLOW_JOINING else commits
        versions, history = set(world.versions), world.history
        for timestamp, index in enumerate(order, batches.first):
            one, mine = self.transactions[index], world.progress[index]
            versions |= {(key, timestamp, index + 1) for key in one.writes}
            history = history.answer(one.name, dict(mine.seen))
            after = replaced(after, index, Progress(Phase.ENDED))
        for index in set(batches.writing) - set(commits):
            mine = world.progress[index]
            after = replaced(after, index, mine._replace(prepared=mine.prepared | {where}))
        what = f"the batch of {where} is durable, and answered"
        return what, after._replace(versions=frozenset(versions), history=history)


def _scenario(name: str, actors: Actors, *needs: Rule) -> Scenario[World, Rule]:
    return Scenario(
        name=name, start=actors.start, steps=actors.steps, wrong=actors.wrong, needs=needs
    )


_ONE_RANGE = Actors(
    ("xy",),
    Transaction("T", Kind.COMMIT, reads="y", writes="x"),
    Transaction("W", Kind.COMMIT, writes="xy"),
    Transaction("U", Kind.COMMIT, reads="x", writes="y"),
    Transaction("S", Kind.SNAPSHOT, reads="xy"),
)
_READERS = Actors(
    ("x", "y"),
    Transaction("T", Kind.COMMIT, writes="x"),
    Transaction("U", Kind.COMMIT, writes="y"),
    Transaction("S", Kind.SNAPSHOT, reads="xy"),
    Transaction("G", Kind.LATEST, reads="x"),
)
_ACROSS = Actors(
    ("x", "y"),
    Transaction("X", Kind.CROSS, writes="xy"),
    Transaction("U", Kind.COMMIT, writes="y"),
    Transaction("S", Kind.SNAPSHOT, reads="xy"),
    Transaction("G", Kind.LATEST, reads="x"),
)
_QUEUE = Actors(
    ("xy", "z"),
    Transaction("X", Kind.CROSS, writes="yz"),
    Transaction("T", Kind.COMMIT, reads="y", writes="x"),
    Transaction("S", Kind.SNAPSHOT, reads="xy"),
)
_READ_LOCKS = Actors(
    ("xy", "z"),
    Transaction("X", Kind.CROSS, reads="x", writes="yz"),
    Transaction("W", Kind.COMMIT, writes="x"),
    Transaction("S", Kind.SNAPSHOT, reads="xy"),
)

MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        _scenario(
            "commits and a snapshot in one range",
            _ONE_RANGE,
            Rule.VALIDATED_ON_JOINING,
            Rule.READS_WAIT_FOR_UNDURABLE,
            Rule.TIMESTAMPS_FOLLOW_JOINING,
            Rule.FROZEN_ADMITS_NOBODY,
            Rule.SNAPSHOTS_WAIT_FOR_FROZEN,
            Rule.FLOOR_BEFORE_REQUEST,
        ),
        _scenario("readers of two ranges", _READERS, Rule.LATEST_WAITS_FOR_FROZEN),
        _scenario(
            "a commit across two ranges and readers",
            _ACROSS,
            Rule.SNAPSHOTS_WAIT_FOR_PREPARED,
            Rule.LATEST_WAITS_FOR_PREPARED,
            Rule.LOCKED_UNTIL_APPLIED,
        ),
        _scenario(
            "a prepare beside a commit that reads what it writes",
            _QUEUE,
            Rule.WAIT_FOR_PREPARED,
            Rule.PREPARES_QUEUE,
        ),
        _scenario(
            "a prepare beside a commit that writes what it read",
            _READ_LOCKS,
            Rule.PREPARED_READ_LOCKS,
        ),
    ),
)
