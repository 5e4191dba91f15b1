"""Traces of a client and its server: one trace, right parents, errors told, nothing when off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import fastness
from fastness import AsyncTransaction, Database, Transaction
from fastness.client.cluster import ClusterClient
from fastness.errors import Conflict, DeadlineExceeded, UsageError
from fastness.limits import Limits
from fastness.model import Entity
from fastness.node import ServerNode
from fastness.node.gate import OpenGate
from fastness.ranges.requests import Done
from fastness.runtime.local import LocalNetwork
from fastness.server.tracing import TracingGate
from fastness.storage import MemoryStore
from fastness.testing.kit import Faults, faulty
from fastness.tracing import traced
from fastness.tracing.context import here, packed, unpacked
from fastness.tracing.spans import fastness_tracer
from fastness.wire.messages import CALL, Frame, MapRequest, SplitRange
from tests.client.servers import RunningServer
from tests.tracing.recording import Recording, shown, told, trace


class Note(Entity, key="id"):
    """A record."""

    id: int
    text: str


@pytest.fixture
def recording() -> Recording:
    """Where spans are kept."""
    return Recording()


@pytest.fixture
def server(recording: Recording) -> Iterator[RunningServer]:
    """A server that is recorded."""
    with recording.server() as running:
        yield running


def touch(tx: Transaction) -> None:
    """Read one key, then two at once, and write."""
    tx.get(b"a")
    tx.get_many([b"b", b"c"])
    tx.set(b"a", b"1")


async def touch_async(tx: AsyncTransaction, key: bytes = b"a") -> None:
    """The same, awaited."""
    await tx.get(key)
    await tx.get_many([key + b"b", key + b"c"])
    tx.set(key, b"1")


ONE_TRACE = Counter(
    {
        ("-", "transaction"): 1,
        ("transaction", "attempt"): 1,
        ("attempt", "get"): 1,
        ("get", "server/read"): 1,
        ("attempt", "get_many"): 1,
        ("get_many", "server/read"): 1,
        ("attempt", "commit"): 1,
        ("commit", "server/commit"): 1,
    }
)
"""What `touch` is: who is whose child."""


def test_a_transaction_is_one_trace_through_client_and_server(
    recording: Recording, server: RunningServer
) -> None:
    """Every call a span, the server's below it; with what was read and when it committed."""
    with traced(fastness.open(server.url), recording.provider) as db:
        db.run(touch)
    assert recording.tree() == ONE_TRACE
    assert len({trace(span) for span in recording.spans}) == 1
    whole = told(recording.one("transaction"))
    assert whole["db.system.name"] == "fastness"
    assert whole["server.address"] == f"unix:{server.path}"
    assert whole["fastness.attempts"] == 1
    assert (
        whole["fastness.commit_timestamp"]
        == told(recording.one("commit"))["fastness.commit_timestamp"]
    )
    attempt = told(recording.one("attempt"))
    assert (attempt["fastness.reads"], attempt["fastness.keys_read"]) == (2, 3)
    assert told(recording.one("get_many"))["db.operation.batch.size"] == 2
    assert all(span.status.is_unset for span in recording.spans)


def test_tasks_at_the_same_time_have_a_trace_each(
    recording: Recording, server: RunningServer
) -> None:
    """Also while their messages share a connection: each commit at the server is its own's."""

    async def scenario() -> None:
        opened = await fastness.open_async(server.url)
        async with traced(opened, recording.provider) as db:
            await db.run(touch_async)
            assert recording.tree() == ONE_TRACE
            recording.forget()
            await asyncio.gather(*(db.run(touch_async, b"%d" % number) for number in range(20)))

    asyncio.run(scenario())
    whole = {trace(span) for span in recording.named("transaction")}
    assert len(whole) == 20
    assert Counter(map(trace, recording.named("server/commit"))) == dict.fromkeys(whole, 1)
    assert {trace(span) for span in recording.spans} == whole


def test_a_conflict_and_the_attempt_after_it(recording: Recording, server: RunningServer) -> None:
    """The first attempt says which key was overwritten and when; the second commits."""
    with (
        fastness.open(server.url) as other,
        traced(fastness.open(server.url), recording.provider) as db,
    ):
        winners: list[int] = []

        def overtaken(tx: Transaction) -> None:
            tx.get(b"a")
            if not winners:
                winners.append(other.set(b"a", b"theirs"))
            tx.set(b"a", b"ours")

        db.run(overtaken)
    first, second = recording.named("attempt")
    assert told(first)["fastness.attempt"] == 1
    assert told(first)["error.type"] == "conflict"
    assert told(first)["fastness.conflict.key"] == repr(b"a")
    assert told(first)["fastness.conflict.winner"] == winners[0]
    assert not first.status.is_ok
    assert second.status.is_unset
    refused, _committed = recording.named("server/commit")
    assert told(refused)["error.type"] == "conflict"
    whole = recording.one("transaction")
    assert whole.status.is_unset, "it came to a good end"
    assert told(whole)["fastness.attempts"] == 2
    (event,) = whole.events
    assert event.name == "attempt failed"
    assert dict(event.attributes or {})["error.type"] == "conflict"


def test_what_fails_for_good_is_an_error_of_the_transaction(recording: Recording) -> None:
    """Given up by the library, or raised by the function itself."""
    faults = Faults()
    faults.conflict(times=3)
    limits = Limits(retries=2)
    with traced(faulty(fastness.open("memory:", limits=limits), faults), recording.provider) as db:
        with pytest.raises(DeadlineExceeded):
            db.run(touch)
        whole = recording.one("transaction")
        assert told(whole)["error.type"] == "deadline_exceeded"
        assert not whole.status.is_ok
        assert len(whole.events) == 3, "two attempts failed, and the error itself"
        faults.clear()
        recording.forget()

        def broken(tx: Transaction) -> None:
            tx.get(b"a")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            db.run(broken)
        assert told(recording.one("attempt"))["error.type"] == "ZeroDivisionError"
        assert "fastness.commit_timestamp" not in told(recording.one("transaction"))


def test_an_engine_in_this_process(recording: Recording) -> None:
    """The same spans without a server: keys, records, single calls, a transaction by hand."""
    with traced(fastness.open("memory:", schema=[Note]), recording.provider) as db:
        db.run(touch)
        assert recording.tree() == Counter(
            {pair: times for pair, times in ONE_TRACE.items() if "server" not in pair[1]}
        )
        recording.forget()
        with db.transaction() as tx:
            tx.insert(Note(id=1, text="one"))
        with db.transaction(read_only=True) as tx:
            assert [note.id for note in tx.query(Note.by_key)] == [1]
        db.get(b"a")
        db.get_many([b"a", b"b"])
        db.set(b"a", b"2")
        db.scan(b"a", b"b")
    assert [span for span in map(shown, recording.spans) if span == "transaction"] == [
        "transaction",
        "transaction",
        "transaction",
    ]
    assert told(recording.named("scan")[-1])["db.response.returned_rows"] == 1
    assert all("server.address" not in told(span) for span in recording.spans)


def test_a_commit_over_ranges_belongs_to_its_transaction(
    recording: Recording, server: RunningServer
) -> None:
    """Prepares and the decision are the commit's children, though sent from elsewhere."""

    async def scenario() -> None:
        opened = await fastness.open_async(server.url)
        assert isinstance(opened, ClusterClient)
        core = opened.core
        await opened.set(b"a", b"1")
        whole = core.routes.serving(b"a")
        assert whole is not None
        split = SplitRange(whole.range_id, whole.generation, b"m")
        assert isinstance(await core.calls.ask(whole.holder, split), Done)
        async with traced(opened, recording.provider) as db:

            async def across(tx: AsyncTransaction) -> None:
                tx.set(b"a", b"2")
                tx.set(b"z", b"2")

            await db.run(across)

    asyncio.run(scenario())
    tree = recording.tree()
    assert tree["commit", "server/prepare"] >= 2
    assert tree["commit", "server/decide"] >= 1
    assert len({trace(span) for span in recording.spans}) == 1


def test_what_is_not_sampled_is_not_sent(server: RunningServer, recording: Recording) -> None:
    """Whoever asks decides: then nothing is recorded at the server either."""
    silent = Recording(ALWAYS_OFF)
    with traced(fastness.open(server.url), silent.provider) as db:
        db.run(touch)
    with fastness.open(server.url) as db:
        db.run(touch)
    assert silent.spans == recording.spans == []


def test_a_server_that_takes_no_traces(recording: Recording) -> None:
    """It is sent frames without any, as a peer did not say that it knows them."""

    async def scenario() -> None:
        network = LocalNetwork()
        gate = TracingGate(OpenGate(), fastness_tracer(recording.provider))
        server = ServerNode(network.process("server#1"), MemoryStore(), Limits(), gate=gate)
        async with server, ClusterClient(network.process("client/1"), [server.address]) as client:
            await traced(client, recording.provider).run(touch_async)

    asyncio.run(scenario())
    assert not any(span.kind.name == "SERVER" for span in recording.spans)
    assert len(recording.named("commit")) == 1


@pytest.mark.parametrize("data", [b"x", b"\x00" * 25, b"\xff" * 26])
def test_a_trace_that_is_none_changes_nothing(recording: Recording, data: bytes) -> None:
    """The request is let in all the same, without a span."""
    gate = TracingGate(OpenGate(), fastness_tracer(recording.provider))
    assert unpacked(data) is None
    assert gate.refusal("client/1", Frame(1, CALL, 1, 0, MapRequest(), data), 100) is None
    assert recording.spans == []


def test_a_span_travels_and_arrives(recording: Recording) -> None:
    """What is under way, while it is; not what has ended."""
    assert here() == b""
    with fastness_tracer(recording.provider).start_as_current_span("outer") as span:
        context = span.get_span_context()
        assert here() == packed(context)
        arrived = unpacked(here())
        assert arrived is not None
        assert (arrived.trace_id, arrived.span_id) == (context.trace_id, context.span_id)
        assert arrived.is_remote
        span.end()
        assert here() == b""


def test_nothing_is_loaded_where_nobody_traces() -> None:
    """Neither the package nor its server program import OpenTelemetry by themselves."""
    code = "import sys, fastness, fastness.server.program; print('opentelemetry' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert said.stdout == "False\n"


def overtake(db: Database) -> None:
    """A transaction by hand that conflicts."""
    with db.transaction() as tx:
        tx.get(b"a")
        db.set(b"a", b"1")
        tx.set(b"a", b"2")


def test_the_layer_refuses_what_the_database_does(recording: Recording) -> None:
    """An error of a call is the same, and told in its span."""
    with traced(fastness.open("memory:"), recording.provider) as db:
        with pytest.raises(UsageError):
            db.get("text")  # type: ignore[arg-type]  # that is the mistake
        with pytest.raises(Conflict):
            overtake(db)
    first, _second = recording.named("get")
    assert told(first)["error.type"] == "invalid_key"
    assert told(recording.named("transaction")[-1])["error.type"] == "conflict"
