"""What a node refuses: frames it cannot read, requests at the wrong place, too much work."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from fastness.encoding.timestamps import TIMESTAMP_MAX, from_milliseconds
from fastness.limits import BIRTH_AHEAD_MS_MAX, Limits
from fastness.node import Node
from fastness.placement.descriptors import Descriptor
from fastness.ranges.identity import transaction_id
from fastness.ranges.requests import (
    CommitOne,
    Content,
    Decide,
    Decision,
    Done,
    InvalidateAck,
    Prepare,
    Read,
    ReadAnswer,
    Resolve,
    Write,
)
from fastness.testing.simulation import World
from fastness.wire.messages import (
    CALL,
    NOTICE,
    PROTOCOL,
    Draw,
    Drawn,
    Kind,
    MapAnswer,
    MapRequest,
    Refusal,
    SplitRange,
    TakeRange,
    encode_frame,
)
from tests.node.clusters import LIMITS, Asker, Cluster, refused

Scenario = Callable[[Asker, Node, Descriptor], Coroutine[Any, Any, None]]


def with_one_node(scenario: Scenario, *, limits: Limits = LIMITS) -> None:
    """Run a scenario against a node that holds the one range and the oracle, and commits."""
    with World(seed=scenario.__name__) as world:
        cluster = Cluster(world, nodes=1, limits=limits)

        async def run() -> None:
            await cluster.start()
            await cluster.client.write(b"a", b"1")
            place = await cluster.client.holder_of(b"a")
            await scenario(cluster.client, cluster.node(place.holder), place)
            assert await cluster.client.read(b"a") == b"1"

        world.run(run())


def damaged_frames() -> list[bytes]:
    """Frames that are none, each in another way."""
    good = msgspec.msgpack.decode(encode_frame(CALL, 900, 0, MapRequest()))
    version, kind, number, issued, body = good
    bad = [
        [version, kind, number],
        [version, kind, number, issued, [255]],
        [version, kind, number, issued, body, 0],
        [version, 9, number, issued, body],
        [version, kind, number, -1, body],
        [version, kind, number, 1 << 63, body],
        [version, kind, number, issued, [1, "x"]],
        [version, kind, number, "now", body],
    ]
    return [msgspec.msgpack.encode(one) for one in bad] + [b"", b"\xc1", b"\x00" * 40]


def test_frames_that_are_none_are_counted_and_refused() -> None:
    """Damage is refused where a call's number can be read, and never acted on."""

    async def scenario(client: Asker, node: Node, _place: Descriptor) -> None:
        for frame in damaged_frames():
            answer = await client.ask_raw(node.address, frame, 900, patience_ms=50)
            assert answer is None or refused(answer) == "invalid_encoding"
        assert node.counts.malformed == len(damaged_frames())

    with_one_node(scenario)


def test_another_protocol_version_is_refused() -> None:
    """The other side hears which version is spoken here, whatever the rest of its frame is."""

    async def scenario(client: Asker, node: Node, _place: Descriptor) -> None:
        for body in (MapRequest(), "a body of the future"):
            frame = msgspec.msgpack.encode([PROTOCOL + 1, CALL, 901, 0, body])
            answer = await client.ask_raw(node.address, frame, 901)
            assert refused(answer) == "protocol_mismatch"
        assert node.counts.other_protocol == 2

    with_one_node(scenario)


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.ANSWER, Kind.NOTICE])
def test_messages_that_make_no_sense_here(kind: Kind) -> None:
    """An answer sent as a call is refused; strange answers and notices are counted."""

    async def scenario(client: Asker, node: Node, _place: Descriptor) -> None:
        number = 902 if kind is Kind.CALL else 0
        frame = encode_frame(int(kind), number, 0, Done())
        answer = await client.ask_raw(node.address, frame, 902, patience_ms=50)
        counts = node.counts
        if kind is Kind.CALL:
            assert refused(answer) == "invalid_encoding"
        if kind is Kind.ANSWER:
            assert counts.stale_answers == 1
        else:
            assert counts.unexpected == 1

    with_one_node(scenario)


def test_a_made_up_timestamp_is_not_believed() -> None:
    """A client that claims a far future to be issued stops nobody's commits."""

    async def scenario(client: Asker, node: Node, _place: Descriptor) -> None:
        client.issued = TIMESTAMP_MAX
        await client.ask(node.address, MapRequest())
        client.issued = 0
        assert await client.write(b"key", b"value") < TIMESTAMP_MAX
        assert await client.read(b"key") == b"value"
        assert all(one.counts.alarms == 0 for one in node.leaseholders.values())

    with_one_node(scenario)


def test_requests_at_the_wrong_place_are_corrected() -> None:
    """Another range or generation: refused with the newest descriptors known."""

    async def scenario(client: Asker, node: Node, place: Descriptor) -> None:
        for range_id, generation in ((place.range_id, place.generation + 1), (99, 1)):
            answer = await client.ask(node.address, Read(range_id, generation, [b"a"]))
            assert isinstance(answer, Refusal)
            assert answer.code == "range_moved"
            assert answer.descriptors == [place]
        assert node.counts.old_generation == 1
        assert node.counts.misrouted == 1

    with_one_node(scenario)


def test_an_acknowledgement_for_an_earlier_leaseholder_is_counted() -> None:
    """Nobody is told of it."""

    async def scenario(client: Asker, node: Node, place: Descriptor) -> None:
        for range_id, epoch in ((place.range_id, place.epoch - 1), (99, 1)):
            body = InvalidateAck(range_id, epoch, 1, 1)
            client.process.send(node.address, encode_frame(NOTICE, 0, 0, body))
        client.process.send(node.address, encode_frame(NOTICE, 0, 0, TakeRange(99)))
        await client.pause(100)
        assert node.counts.old_epoch == 2

    with_one_node(scenario)


def test_a_call_that_came_twice_is_answered_once() -> None:
    """While the first copy is being worked on the second is dropped."""

    async def scenario(client: Asker, node: Node, place: Descriptor) -> None:
        identity = transaction_id(birth=client.issued, nonce=7, anchor=b"b")
        body = Decide(place.range_id, place.generation, identity, 0)
        frame = encode_frame(CALL, 903, client.issued, body)
        client.process.send(node.address, frame)
        answer = await client.ask_raw(node.address, frame, 903)
        assert answer == Decision(0)
        assert node.counts.repeated <= 1

    with_one_node(scenario)


def test_a_copy_of_a_commit_refused_as_misplaced_is_never_taken() -> None:
    """Its client was told, sent it elsewhere or anew, and may have given it up for good since.

    Refused, a commit leaves nothing behind: where the range has come here meanwhile, a late
    copy would be taken for a first one, and the transaction happen twice.
    """

    async def scenario(client: Asker, node: Node, place: Descriptor) -> None:
        identity = transaction_id(birth=client.issued, nonce=7, anchor=b"b")
        content = Content(writes=[Write(b"b", b"twice")], size=6)
        body = CommitOne(place.range_id, place.generation + 1, identity, client.issued, content)
        frame = encode_frame(CALL, 904, client.issued, body)
        assert refused(await client.ask_raw(node.address, frame, 904)) == "range_moved"
        split = SplitRange(place.range_id, place.generation, b"m")
        assert isinstance(await client.ask(node.address, split, patience_ms=5_000), Done)
        assert (await client.holder_of(b"b")).generation == place.generation + 1
        assert await client.ask_raw(node.address, frame, 904) is None
        assert await client.read(b"b") is None
        assert node.counts.repeated == 1

    with_one_node(scenario)


def test_too_much_work_is_refused_early() -> None:
    """Beyond the limit new work is refused; what ends transactions is still let in."""

    async def scenario(client: Asker, node: Node, place: Descriptor) -> None:
        store = client.world.store(place.store)
        identity = transaction_id(birth=client.issued, nonce=7, anchor=b"b")
        decide = Decide(place.range_id, place.generation, identity, 0)
        # It stays in flight until the store answers.
        store.pause(150)
        first = client.process.spawn(client.ask(node.address, decide), name="first")
        await client.pause(30)
        read = Read(place.range_id, place.generation, [b"a"])
        assert refused(await client.ask(node.address, read)) == "overloaded"
        resolve = Resolve(place.range_id, place.generation, identity, 0)
        assert not isinstance(await client.ask(node.address, resolve), Refusal)
        assert node.counts.overloaded == 1
        assert await first == Decision(0)
        assert isinstance(await client.ask(node.address, read), ReadAnswer)

    with_one_node(scenario, limits=replace(LIMITS, requests_in_flight=1))


def test_draws_are_checked() -> None:
    """Blocks of no timestamp, or of too many, are refused; others are the caller's alone."""

    async def scenario(client: Asker, node: Node, _place: Descriptor) -> None:
        for count in (0, -1, 1 << 40):
            answer = await client.ask(node.address, Draw(count))
            assert refused(answer) == "invalid_option"
        last = 0
        for count in (1, 5, 1_000):
            answer = await client.ask(node.address, Draw(count))
            assert isinstance(answer, Drawn)
            assert answer.first > last
            last = answer.first + count - 1

    with_one_node(scenario)


def test_the_map_names_ranges_oracle_and_nodes() -> None:
    """Any node answers with what it last read."""

    async def scenario(client: Asker, node: Node, place: Descriptor) -> None:
        answer = await client.ask(node.address, MapRequest())
        assert answer == MapAnswer([place], node.address, [node.address])

    with_one_node(scenario)


def test_an_id_from_the_future_is_refused() -> None:
    """Its outcome would be kept until then: whoever makes births up is told, nothing is kept."""

    async def scenario(client: Asker, node: Node, place: Descriptor) -> None:
        leaseholder = node.leaseholders[place.range_id]
        kept = len(leaseholder.outcomes)
        ahead = from_milliseconds(BIRTH_AHEAD_MS_MAX + LIMITS.ceiling_ms + 1_000)
        identity = transaction_id(birth=await client.draw() + ahead, nonce=1, anchor=b"b")
        content = Content(writes=[Write(b"b", b"1")], write_keys=[b"b"], size=2)
        where = place.range_id, place.generation
        for request in (
            CommitOne(*where, identity, client.issued, content),
            Prepare(*where, identity, client.issued, client.issued + ahead, content),
            Decide(*where, identity, 0, []),
        ):
            assert refused(await client.ask(node.address, request)) == "unreachable"
        assert len(leaseholder.outcomes) == kept
        honest = transaction_id(birth=client.issued, nonce=2, anchor=b"b")
        answer = await client.ask(node.address, CommitOne(*where, honest, client.issued, content))
        assert isinstance(answer, Decision)
        assert answer.timestamp
        assert len(leaseholder.outcomes) == kept + 1

    with_one_node(scenario)
