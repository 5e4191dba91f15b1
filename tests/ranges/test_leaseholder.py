"""The leaseholder alone: commits, readers, prepared transactions, caches, changes of shape."""

from __future__ import annotations

from fastness.encoding.intervals import SYSTEM_END
from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import (
    Conflict,
    DiskFull,
    LimitExceeded,
    MaybeCommitted,
    Overloaded,
    RangeMoved,
    SnapshotTooOld,
    StoreDamaged,
)
from fastness.ranges.ports import Caller
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Content,
    Decision,
    Grant,
    InvalidateAck,
    Pending,
    Prepare,
    Prepared,
    Read,
    ReadAnswer,
    Write,
)
from tests.ranges.inline_shell import World, small, split, two_ranges

ADD_ONE = [(1, (1).to_bytes(8, "little"))]


def test_a_commit_is_read_back_at_its_timestamp_and_not_below() -> None:
    """One range, one message: durable, visible from its timestamp on."""
    world = World()
    world.open()
    at = world.committed(world.commit({b"a": b"1"}))
    assert world.values(world.read(b"a")) == [b"1"]
    assert world.values(world.read(b"a", at=at)) == [b"1"]
    assert world.values(world.read(b"a", at=at - 1)) == [None]


def test_a_read_that_was_overtaken_is_a_conflict() -> None:
    """Validation at the instant of joining."""
    world = World()
    world.open()
    at = world.committed(world.commit({b"a": b"1"}))
    world.commit({b"a": b"2"})
    answer = world.answer(world.commit({b"b": b"x"}, reads=[b"a"], at=at))
    assert isinstance(answer, Conflict)
    assert answer.key == b"a"


def test_latest_reads_wait_for_a_frozen_batch_and_snapshots_below_its_floor_do_not() -> None:
    """H2: from the request of the timestamps until the batch is durable."""
    world = World()
    world.open()
    world.commit({b"a": b"old"})
    below = world.issued
    with world.hold("draw"):
        world.commit({b"a": b"new"})
        above = world.draw()
        latest = world.read(b"a")
        snapshot_above = world.read(b"a", at=above)
        snapshot_below = world.read(b"a", at=below)
        other = world.read(b"b")
        assert world.answer(latest) is None
        assert world.answer(snapshot_above) is None
        assert world.values(snapshot_below) == [b"old"]
        assert world.values(other) == [None]
    assert world.values(latest) == [b"new"]
    assert world.values(snapshot_above) == [b"old"]


def test_a_latest_read_that_waited_in_vain_is_told_to_draw_a_timestamp() -> None:
    """A hot key must not keep a reader for ever."""
    world = two_ranges()
    one, other = world.identity(b"a"), world.identity(b"a")
    world.prepare(one, {b"a": b"1"})
    world.prepare(other, {b"a": b"2"}, priority=1)
    latest = world.read(b"a")
    world.decide(one, world.draw())
    assert isinstance(world.answer(latest), Pending)


def test_a_transaction_over_two_ranges_is_all_there_or_not_at_all() -> None:
    """Prepare, decide at the anchor, resolve behind the answer."""
    world = two_ranges()
    identity = world.identity(b"a")
    parts = [world.prepare(identity, {b"a": b"1"}), world.prepare(identity, {b"z": b"1"})]
    prepared = [world.answer(part) for part in parts]
    assert all(isinstance(one, Prepared) for one in prepared)
    spans = [one.span for one in prepared if isinstance(one, Prepared)]
    with world.hold("resolve"):
        world.draw()
        at = world.committed(world.decide(identity, world.draw(), spans))
        waiting = world.read(b"z")
        below = world.read(b"z", at=at - 1)
        assert world.answer(waiting) is None
        assert world.answer(below) is None
    assert world.values(waiting) == [b"1"]
    assert world.values(below) == [None]
    assert world.values(world.read(b"z", at=at)) == [b"1"]
    assert all(shell.leaseholder.undecided == 0 for shell in world.ranges.values())


def test_the_first_decision_stands() -> None:
    """An abort after a commit, and a commit after an abort, get what was decided."""
    world = two_ranges()
    first, second = world.identity(b"a"), world.identity(b"b")
    world.prepare(first, {b"a": b"1"})
    world.prepare(second, {b"b": b"1"})
    at = world.committed(world.decide(first, world.draw()))
    assert world.committed(world.decide(first, 0)) == at
    assert world.committed(world.decide(second, 0)) == 0
    assert world.committed(world.decide(second, world.draw())) == 0
    assert world.values(world.read(b"b")) == [None]


def test_an_id_resolved_before_its_commit_arrives_never_commits() -> None:
    """Resolving by id writes *aborted* first (CONSISTENCY 1.5), one-range commits included."""
    world = World()
    world.open()
    identity = world.identity(b"a")
    assert world.committed(world.decide(identity, 0)) == 0
    assert world.committed(world.commit({b"a": b"late"}, identity=identity)) == 0
    assert world.values(world.read(b"a")) == [None]


def test_a_commit_that_arrives_while_its_abort_is_being_written_is_aborted() -> None:
    """Both in one batch would be two outcomes of one id."""
    world = World()
    world.open()
    identity = world.identity(b"a")
    with world.hold("apply"):
        resolved = world.decide(identity, 0)
        late = world.commit({b"a": b"late"}, identity=identity)
        assert world.answer(late) is None
    assert world.committed(resolved) == world.committed(late) == 0
    assert world.values(world.read(b"a")) == [None]


def test_declared_writes_are_conflicts_after_a_takeover_too() -> None:
    """The store knows what was written, not what was only declared."""
    world = World()
    world.open()
    at = world.committed(world.commit({b"a": b"1"}))
    world.commit({b"z": b""}, write_keys=[b"a"])
    world.open()
    stale = world.answer(world.commit({b"b": b"1"}, reads=[b"a"], at=at))
    assert isinstance(stale, Conflict)


def test_a_resend_joins_and_later_gets_the_outcome() -> None:
    """Exactly once: an addition sent three times counts once."""
    world = World()
    world.open()
    identity = world.identity(b"n")
    with world.hold("apply"):
        first = world.commit(identity=identity, atomics={b"n": ADD_ONE})
        again = world.commit(identity=identity, atomics={b"n": ADD_ONE})
        assert world.answer(first) is None
    late = world.commit(identity=identity, atomics={b"n": ADD_ONE})
    assert world.answer(first) == world.answer(again) == world.answer(late)
    assert world.values(world.read(b"n")) == [(1).to_bytes(8, "little")]


def test_outcomes_survive_a_takeover() -> None:
    """A resend to the next leaseholder is not applied again."""
    world = World()
    world.open()
    identity = world.identity(b"n")
    at = world.committed(world.commit(identity=identity, atomics={b"n": ADD_ONE}))
    world.open()
    assert world.committed(world.commit(identity=identity, atomics={b"n": ADD_ONE})) == at
    assert world.values(world.read(b"n")) == [(1).to_bytes(8, "little")]


def test_a_forgotten_id_is_answered_maybe_committed() -> None:
    """H8: unknown and born at or below the outcome horizon."""
    world = World(limits=small(outcome_ms=10))
    shell = world.open()
    identity = world.identity(b"n")
    world.commit(identity=identity, atomics={b"n": ADD_ONE})
    world.issued += from_milliseconds(1_000)
    world.boot_ns += 2_000_000_000
    shell.leaseholder.tick()
    world.run()
    assert len(shell.leaseholder.outcomes) == 0
    resend = world.answer(world.commit(identity=identity, atomics={b"n": ADD_ONE}))
    assert isinstance(resend, MaybeCommitted)
    assert isinstance(world.answer(world.decide(identity, 0)), MaybeCommitted)
    assert isinstance(world.answer(world.commit({b"m": b"1"})), Decision)


def test_a_decision_outlives_the_window_until_every_span_has_answered() -> None:
    """A participant whose resolution was lost asks when the outcome is forgotten already."""
    world = two_ranges(limits=small(outcome_ms=10))
    identity = world.identity(b"a")
    parts = [world.prepare(identity, {key: b"1"}) for key in (b"a", b"z")]
    spans = [one.span for one in map(world.answer, parts) if isinstance(one, Prepared)]
    anchor = world.ranges[1].leaseholder
    with world.hold("resolve"):
        at = world.committed(world.decide(identity, world.draw(), spans))
        world.issued += from_milliseconds(10_000)
        world.boot_ns += 2_000_000_000
        anchor.tick()
        world.run()
        assert len(anchor.outcomes) == 0
        ask = Ask(1, 1, identity, world.issued - 1)
        assert world.committed(world.ask(ask)) == at
        assert world.committed(world.decide(identity, 0)) == at
        world.held["resolve"].clear()


def test_an_abort_is_told_to_every_participant() -> None:
    """Their locks go at once, not when a deadline has passed."""
    world = two_ranges()
    for anchored in (True, False):
        identity = world.identity(b"a")
        parts = [world.prepare(identity, {b"z": b"1"})]
        if anchored:
            parts.append(world.prepare(identity, {b"a": b"1"}))
        spans = [one.span for one in map(world.answer, parts) if isinstance(one, Prepared)]
        assert world.committed(world.decide(identity, 0, spans)) == 0
        assert all(shell.leaseholder.undecided == 0 for shell in world.ranges.values())


def test_a_younger_prepare_dies_and_an_older_waits() -> None:
    """Wait-die on first-attempt timestamps."""
    world = two_ranges()
    holder, younger, older = (world.identity(b"a") for _ in range(3))
    world.prepare(holder, {b"a": b"1"}, priority=50)
    assert isinstance(world.answer(world.prepare(younger, {b"a": b"2"}, priority=60)), Conflict)
    waits = world.prepare(older, {b"a": b"3"}, priority=40)
    assert world.answer(waits) is None
    # Whoever is younger than a waiter dies too: the waiter would starve.
    late = world.prepare(world.identity(b"a"), {b"a": b"4"}, priority=45)
    assert isinstance(world.answer(late), Conflict)
    world.decide(holder, 0)
    assert isinstance(world.answer(waits), Prepared)


def test_a_one_range_commit_waits_for_a_prepared_lock_and_is_validated_after() -> None:
    """H1: after any wait everything starts from the beginning."""
    world = two_ranges()
    at = world.committed(world.commit({b"a": b"0"}))
    identity = world.identity(b"a")
    world.prepare(identity, {b"a": b"1"})
    stale = world.commit({b"b": b"x"}, reads=[b"a"], at=at)
    blind = world.commit({b"a": b"2"})
    assert world.answer(stale) is None
    assert world.answer(blind) is None
    world.decide(identity, world.draw())
    assert isinstance(world.answer(stale), Conflict)
    assert isinstance(world.answer(blind), Decision)
    assert world.values(world.read(b"a")) == [b"2"]


def test_prepared_read_locks_survive_a_takeover() -> None:
    """A writer waits for the decision of a transaction that read what it writes."""
    world = two_ranges()
    at = world.issued
    identity = world.identity(b"a")
    world.prepare(identity, {b"a": b"1"}, reads=[b"b"], at=at)
    world.open(1)
    write = world.commit({b"b": b"x"})
    assert world.answer(write) is None
    world.decide(identity, world.draw())
    assert isinstance(world.answer(write), Decision)


def test_a_participant_asks_once_the_deadline_has_passed() -> None:
    """The anchor aborts durably first; then the participant drops its intent."""
    world = two_ranges()
    identity = world.identity(b"a")
    world.prepare(identity, {b"z": b"1"})
    participant = world.ranges[2].leaseholder
    world.issued += from_milliseconds(10_000)
    for _ in range(2):
        world.boot_ns += 1_000_000_000
        participant.tick()
        world.run()
    assert participant.undecided == 0
    assert world.committed(world.decide(identity, world.draw())) == 0
    assert world.values(world.read(b"z")) == [None]


def test_a_commit_timestamp_at_or_below_a_floor_is_refused_with_an_alarm() -> None:
    """H10: what an oracle that went back in time would do."""
    world = two_ranges()
    identity = world.identity(b"a")
    world.prepare(identity, {b"a": b"1"})
    assert world.committed(world.decide(identity, world.issued)) == 0
    assert world.ranges[1].leaseholder.counts.alarms == 1


def test_a_block_at_or_below_the_floor_is_asked_for_again_at_the_next_tick() -> None:
    """Not at once: an oracle that went back in time may do so for a while."""
    world = two_ranges()
    leaseholder = world.ranges[1].leaseholder
    with world.hold("draw"):
        commit = world.commit({b"a": b"1"})
        world.held["draw"].clear()
        leaseholder.drawn(world.issued - 1, 1)
        assert leaseholder.counts.alarms == 1
    assert world.answer(commit) is None
    leaseholder.tick()
    world.run()
    assert isinstance(world.answer(commit), Decision)


def test_atomic_operations_of_a_prepare_are_evaluated_under_its_lock() -> None:
    """Nobody comes between the value it found and the value it leaves."""
    world = two_ranges()
    world.commit(atomics={b"n": ADD_ONE})
    identity = world.identity(b"n")
    world.prepare(identity, atomics={b"n": ADD_ONE})
    blind = world.commit(atomics={b"n": ADD_ONE})
    assert world.answer(blind) is None
    world.decide(identity, world.draw())
    assert world.values(world.read(b"n")) == [(3).to_bytes(8, "little")]


def test_a_damaged_value_fails_who_counts_on_it_and_nobody_else() -> None:
    """The batch goes on without those that it cannot evaluate, even if nobody is left in it."""
    world = World()
    world.open()
    world.damaged.append(b"n")
    with world.hold("apply"):
        world.commit({b"x": b"1"})
        plain = world.commit({b"a": b"1"})
        counting = world.commit(atomics={b"n": ADD_ONE})
    assert isinstance(world.answer(counting), StoreDamaged)
    assert world.values(world.read(b"a", at=world.committed(plain))) == [b"1"]
    assert isinstance(world.answer(world.commit(atomics={b"n": ADD_ONE})), StoreDamaged)
    assert world.committed(world.commit({b"a": b"2"}))
    assert world.ranges[1].leaseholder.undecided == 0


def test_an_atomic_operation_that_cannot_be_done_leaves_no_lock() -> None:
    """The refusal is the operation's own."""
    world = two_ranges(limits=small(value_bytes=4))
    world.commit({b"n": b"1234"})
    identity = world.identity(b"n")
    refused = world.answer(world.prepare(identity, atomics={b"n": [(4, b"5")]}))
    assert isinstance(refused, LimitExceeded)
    assert isinstance(world.answer(world.commit({b"n": b"x"})), Decision)


def test_a_commit_waits_until_a_cached_copy_is_gone() -> None:
    """No timestamp is drawn before the acknowledgement, or the end of that lease."""
    world = World()
    shell = world.open()
    world.commit({b"a": b"1"})
    filled = world.answer(world.read(b"a", cache=True, client="c1"))
    assert isinstance(filled, ReadAnswer)
    assert filled.grant is not None
    write = world.commit({b"a": b"2"})
    assert world.answer(write) is None
    refill = world.answer(world.read(b"a", cache=True, client="c2"))
    assert isinstance(refill, ReadAnswer)
    assert refill.grant is None
    (client, notice), *_ = world.notices
    assert (client, notice.keys) == ("c1", [b"a"])
    shell.leaseholder.acknowledge(
        client, InvalidateAck(1, notice.epoch, notice.lease, notice.number)
    )
    world.run()
    assert isinstance(world.answer(write), Decision)


def test_a_dead_client_delays_a_commit_by_its_lease_at_most() -> None:
    """Others are not delayed at all."""
    world = World()
    shell = world.open()
    world.read(b"a", cache=True, client="dead")
    write = world.commit({b"a": b"2"})
    other = world.commit({b"b": b"2"})
    assert world.answer(write) is None
    assert isinstance(world.answer(other), Decision)
    world.boot_ns += 1_100_000_000
    shell.leaseholder.tick()
    world.run()
    assert isinstance(world.answer(write), Decision)


def test_a_commit_acknowledges_what_its_own_client_cached() -> None:
    """It dropped its copy before it sent the commit (m16)."""
    world = World()
    world.open()
    filled = world.answer(world.read(b"a", cache=True, client="c1"))
    assert isinstance(filled, ReadAnswer)
    grant = filled.grant
    assert isinstance(grant, Grant)
    write = world.commit({b"a": b"2"}, client="c1", lease=grant.lease)
    assert isinstance(world.answer(write), Decision)
    assert not world.notices


def test_a_commit_that_comes_late_does_not_speak_for_later_fills() -> None:
    """Its client has learned its end meanwhile, and cached the key again."""
    world = two_ranges()
    identity = world.identity(b"a")
    first = world.answer(world.read(b"z", cache=True, client="c1"))
    assert isinstance(first, ReadAnswer)
    assert first.grant is not None
    world.decide(identity, 0)
    late = Prepare(
        2,
        1,
        identity,
        world.issued,
        world.issued + from_milliseconds(2_000),
        Content(writes=[Write(b"z", b"never")]),
        first.grant.lease,
    )
    number = world.number()
    again = world.answer(world.read(b"z", cache=True, client="c1"))
    assert isinstance(again, ReadAnswer)
    assert again.grant is not None
    world.ranges[2].leaseholder.handle(Caller("c1", number), late)
    world.run()
    assert world.answer(number) is None
    assert [client for client, _ in world.notices] == ["c1"]


def test_reads_end_with_the_lease() -> None:
    """Checked at the instant of reading, and again after a wait."""
    world = two_ranges()
    shell = world.ranges[1]
    identity = world.identity(b"a")
    world.prepare(identity, {b"a": b"1"})
    waiting = world.read(b"a", at=world.draw())
    shell.lease_ms = 0
    world.decide(identity, 0)
    assert isinstance(world.answer(waiting), RangeMoved)
    assert isinstance(world.answer(world.read(b"b")), RangeMoved)


def test_another_generation_and_foreign_keys_are_refused() -> None:
    """Misrouted messages are never acted on."""
    world = two_ranges()
    stale = CommitOne(1, 9, world.identity(b"a"), 1, Content(writes=[Write(b"a", b"1")]))
    assert isinstance(world.answer(world.ask(stale)), RangeMoved)
    foreign = CommitOne(1, 1, world.identity(b"z"), 1, Content(writes=[Write(b"z", b"1")]))
    assert world.answer(world.ask(foreign)) is not None
    assert isinstance(world.answer(world.ask(Read(1, 7, [b"a"]))), RangeMoved)
    assert world.values(world.read(b"z")) == [None]


def test_reads_and_commits_below_the_prune_horizon_fail() -> None:
    """A pruned tombstone hides a conflict (M1)."""
    world = World()
    shell = world.open()
    old = world.committed(world.commit({b"a": b"1"}))
    shell.leaseholder.raise_horizon(old + 1)
    assert isinstance(world.answer(world.read(b"a", at=old)), SnapshotTooOld)
    assert isinstance(
        world.answer(world.commit({b"b": b"1"}, reads=[b"a"], at=old)), SnapshotTooOld
    )


def test_a_latest_read_overtaken_by_the_horizon_goes_on_at_a_timestamp() -> None:
    """An idle range is pruned above its last commit: what it was to read may be gone."""
    world = World()
    shell = world.open()
    last = world.committed(world.commit({b"a": b"1"}))
    with world.hold("read"):
        overtaken = world.read(b"a")
        shell.leaseholder.raise_horizon(last + 1)
    assert isinstance(world.answer(overtaken), Pending)
    after = world.answer(world.read(b"a"))
    assert isinstance(after, ReadAnswer)
    assert after.at == last + 1
    assert world.values(world.read(b"a", at=last + 1)) == [b"1"]


def test_a_commit_older_than_the_memory_is_validated_by_reading_again() -> None:
    """After a takeover the memory of recent writes is empty (M2)."""
    world = World()
    world.open()
    at = world.committed(world.commit({b"a": b"1", b"b": b"1"}))
    world.commit({b"b": b"2"})
    world.open()
    stale = world.answer(world.commit({b"c": b"1"}, reads=[b"b"], at=at))
    assert isinstance(stale, Conflict)
    assert isinstance(world.answer(world.commit({b"c": b"1"}, reads=[b"a"], at=at)), Decision)


def test_every_queue_has_its_limit() -> None:
    """Overload answers with a retryable error and recovers."""
    world = two_ranges(limits=small(commits_queued=3, reads_queued=2, prepared=1))
    with world.hold("draw"):
        numbers = [world.commit({b"k%d" % n: b""}) for n in range(8)]
        refused = [n for n in numbers if isinstance(world.answer(n), Overloaded)]
        assert refused
    assert all(world.answer(n) is not None for n in numbers)
    identity = world.identity(b"a")
    world.prepare(identity, {b"a": b"1"})
    crowded = world.answer(world.prepare(world.identity(b"b"), {b"b": b"1"}))
    assert isinstance(crowded, Overloaded)
    reads = [world.read(b"a") for _ in range(4)]
    assert sum(isinstance(world.answer(n), Overloaded) for n in reads) == 2
    world.decide(identity, world.draw())
    assert world.values(reads[0]) == [b"1"]
    assert isinstance(world.answer(world.commit({b"q": b""})), Decision)


def merge(world: World) -> None:
    """Merge range 9 back into range 1."""
    left, right = world.ranges[1].leaseholder, world.ranges[9].leaseholder
    left.pause(lambda: None)
    right.pause(lambda: None)
    world.run()

    def absorbed() -> None:
        del world.ranges[9]
        left.resume()

    left.absorb(right, absorbed)
    world.run()


def test_a_split_gives_each_child_its_locks_intents_and_outcomes() -> None:
    """One prepared transaction over both halves; one decision binds them."""
    world = World()
    world.open()
    done = world.identity(b"n")
    world.commit(identity=done, atomics={b"n": ADD_ONE})
    identity = world.identity(b"a")
    prepared = world.answer(world.prepare(identity, {b"a": b"1", b"x": b"1"}))
    assert isinstance(prepared, Prepared)
    split(world, b"m")
    for shell in world.ranges.values():
        assert len(shell.leaseholder.locks) == 1
        assert shell.leaseholder.outcomes.get(done)
    blocked = world.commit({b"x": b"2"})
    assert world.answer(blocked) is None
    world.decide(identity, world.draw(), [prepared.span])
    assert isinstance(world.answer(blocked), Decision)
    assert world.values(world.read(b"a")) == [b"1"]
    assert world.values(world.read(b"x")) == [b"2"]


def test_a_merge_joins_intents_outcomes_and_horizons() -> None:
    """Both halves of a prepared transaction become one intent with one end."""
    world = World()
    world.open()
    identity = world.identity(b"a")
    prepared = world.answer(world.prepare(identity, {b"a": b"1", b"x": b"1"}))
    assert isinstance(prepared, Prepared)
    split(world, b"m")
    right = world.identity(b"z")
    world.commit(identity=right, atomics={b"z": ADD_ONE})
    merge(world)
    leaseholder = world.ranges[1].leaseholder
    assert leaseholder.shape.end == SYSTEM_END
    assert len(leaseholder.locks) == 1
    world.decide(identity, world.draw(), [prepared.span])
    assert world.values(world.read(b"a", b"x")) == [b"1", b"1"]
    world.commit(identity=right, atomics={b"z": ADD_ONE})
    assert world.values(world.read(b"z")) == [(1).to_bytes(8, "little")]


def test_requests_during_a_pause_are_served_or_sent_on_afterwards() -> None:
    """Nothing is lost, nothing is admitted meanwhile."""
    world = World()
    world.open()
    leaseholder = world.ranges[1].leaseholder
    drained: list[bool] = []
    leaseholder.pause(lambda: drained.append(True))
    world.run()
    assert drained == [True]
    parked = world.commit({b"a": b"1"})
    assert world.answer(parked) is None
    leaseholder.resume()
    world.run()
    assert isinstance(world.answer(parked), Decision)


def test_a_retired_leaseholder_refuses_everybody_and_doubts_what_was_being_written() -> None:
    """Fenced in the middle of a batch."""
    world = World()
    shell = world.open()
    with world.hold("apply"):
        written = world.commit({b"a": b"1"})
        waiting = world.commit({b"b": b"1"}, reads=[b"a"], at=world.issued)
        shell.leaseholder.retire(RangeMoved("fenced"))
        world.held["apply"].clear()
    assert isinstance(world.answer(written), MaybeCommitted)
    assert isinstance(world.answer(waiting), RangeMoved)
    assert isinstance(world.answer(world.read(b"a")), RangeMoved)


def test_a_batch_that_never_happened_leaves_nothing_behind() -> None:
    """Settled as lost: everybody in it may try again at once."""
    world = two_ranges()
    shell = world.ranges[1]
    identity = world.identity(b"a")
    with world.hold("apply"):
        commit = world.commit({b"b": b"1"})
        world.prepare(identity, {b"a": b"1"})
        batch = shell.leaseholder.range.batch_number
        world.held["apply"].clear()
        assert world.store.settle(1, shell.leaseholder.epoch, batch) is False
        shell.leaseholder.lost(batch)
    assert not isinstance(world.answer(commit), Decision)
    world.run()
    assert isinstance(world.answer(world.commit({b"b": b"2"})), Decision)
    assert world.values(world.read(b"b")) == [b"2"]


def test_closed_stays_below_what_may_still_appear() -> None:
    """Undecided intents and blocks under way hold it back (H11)."""
    world = two_ranges()
    leaseholder = world.ranges[1].leaseholder
    identity = world.identity(b"a")
    world.prepare(identity, {b"a": b"1"})
    held = leaseholder.closed
    world.draw(100)
    assert leaseholder.closed == held
    at = world.committed(world.decide(identity, world.draw()))
    assert held < at <= leaseholder.closed
    with world.hold("draw"):
        world.commit({b"b": b"1"})
        frozen = leaseholder.closed
        world.draw(100)
        assert leaseholder.closed == frozen
    assert leaseholder.closed > frozen


def test_a_store_that_reads_at_once_is_read_in_the_same_call() -> None:
    """The answer is the same, waits for what is undecided, and failures are refused as ever."""
    world = World()
    world.at_once = True
    world.open()
    at = world.committed(world.commit({b"a": b"1", b"b": b"2"}))
    assert world.values(world.read(b"a", b"b")) == [b"1", b"2"]
    assert world.values(world.read(b"a", at=at - 1)) == [None]
    with world.hold("apply"):
        world.commit({b"a": b"3"})
        waiting = world.read(b"a")
        assert world.answer(waiting) is None
        assert world.values(world.read(b"b")) == [b"2"]
    assert world.values(waiting) == [b"3"]
    world.damaged = [b"b"]
    assert isinstance(world.answer(world.read(b"b")), StoreDamaged)
    assert world.values(world.read(b"a")) == [b"3"]


def test_while_the_store_takes_no_writes_new_commits_hear_why() -> None:
    """What is under way goes on and may be asked for again; reads are served."""
    world = two_ranges()
    identity = world.identity(b"a")
    with world.hold("apply"):
        first = world.commit({b"a": b"1"}, identity=identity)
        world.refusal = DiskFull("no room")
        again = world.commit({b"a": b"1"}, identity=identity)
        refused = [
            world.commit({b"b": b"1"}),
            world.prepare(world.identity(b"b"), {b"b": b"1"}),
        ]
        assert all(isinstance(world.answer(one), DiskFull) for one in refused)
        assert world.values(world.read(b"b")) == [None]
    assert world.committed(first) == world.committed(again)
    world.refusal = None
    world.committed(world.commit({b"b": b"1"}))


def test_no_cache_lease_is_granted_that_a_successor_would_not_know_of() -> None:
    """The answer is right and is not to be kept."""
    world = World()
    world.open()
    world.may_cache = False
    answer = world.answer(world.read(b"a", cache=True))
    assert isinstance(answer, ReadAnswer)
    assert answer.grant is None
    world.may_cache = True
    answer = world.answer(world.read(b"a", cache=True))
    assert isinstance(answer, ReadAnswer)
    assert answer.grant is not None


def test_one_key_that_must_wait_keeps_no_other_waiting() -> None:
    """Where each stands for itself the others are answered, and it is named; alone it waits."""
    for at_once in (False, True):
        world = World()
        world.at_once = at_once
        world.open()
        at = world.committed(world.commit({b"a": b"1", b"b": b"1", b"c": b"1"}))
        with world.hold("apply"):
            world.commit({b"b": b"2"})
            together = world.read(b"a", b"b", b"c")
            each = world.answer(world.read(b"a", b"b", b"c", b"d", each=True))
            last = world.answer(world.read(b"a", b"b", each=True))
            alone = world.read(b"b", each=True)
            below = world.answer(world.read(b"a", b"b", at=at, each=True))
            assert world.answer(together) is None
            assert world.answer(alone) is None
            assert isinstance(each, ReadAnswer)
            assert [cell and cell[8:] for cell in each.cells] == [b"1", None, b"1", None]
            assert each.waiting == [1]
            assert isinstance(last, ReadAnswer)
            assert [cell and cell[8:] for cell in last.cells] == [b"1", None]
            assert last.waiting == [1]
            assert isinstance(below, ReadAnswer)
            assert [cell and cell[8:] for cell in below.cells] == [b"1", b"1"]
            assert below.waiting == []
        assert world.values(together) == [b"1", b"2", b"1"]
        assert world.values(alone) == [b"2"]
