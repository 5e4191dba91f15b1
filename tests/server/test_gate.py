"""The gate: roles, key spaces and rates, request by request."""

from __future__ import annotations

import msgspec
import pytest

from fastness.encoding.intervals import SYSTEM_END, prefix_end
from fastness.errors import (
    FastnessError,
    Overloaded,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
)
from fastness.ranges.commit import Stamped
from fastness.ranges.identity import transaction_id
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Content,
    Decide,
    InvalidateAck,
    Prepare,
    Read,
    RenewCache,
    Reserve,
    Resolve,
    Scan,
    Write,
)
from fastness.runtime import ManualClock
from fastness.server.access import Access, grant_of
from fastness.server.gate import ServerGate
from fastness.server.latencies import Latencies
from fastness.server.reach import operations_in
from fastness.server.roles import ALLOWED
from fastness.server.tokens import Allowance
from fastness.transport.grants import NODE_GRANT, Grant
from fastness.wire.figures import FiguresRequest
from fastness.wire.handshake import Role
from fastness.wire.messages import (
    CALL,
    Body,
    Drain,
    Draw,
    Frame,
    MapRequest,
    MergeRange,
    MoveRange,
    SplitRange,
    TakeRange,
    TransferLease,
)
from fastness.wire.reports import ReportRequest

OWN = "127.0.0.1:1#node"
CLIENT = "client/1"
SPACE = b"tenant/"


def identity(anchor: bytes) -> bytes:
    """A transaction's id with this anchor."""
    return transaction_id(birth=1, nonce=2, anchor=anchor)


def commit(content: Content, anchor: bytes = SPACE + b"a") -> CommitOne:
    """A commit of this content."""
    return CommitOne(1, 1, identity(anchor), 0, content)


REQUESTS: tuple[Body, ...] = (
    Read(1, 1, [b"a"]),
    RenewCache(1, 1, 1),
    Draw(1),
    MapRequest(),
    FiguresRequest(),
    InvalidateAck(1, 1, 1, 1),
    commit(Content(writes=[Write(b"a", b"1")])),
    Prepare(1, 1, identity(b"a"), 0, 0, Content()),
    Decide(1, 1, identity(b"a"), 0),
    Reserve(1, 1, 0, 0, [b"a"], [], 1),
    SplitRange(1, 1, b"m"),
    MergeRange(1, 1),
    TransferLease(1, 1, OWN),
    MoveRange(1, 1, "local"),
    Drain(),
    ReportRequest(),
    Ask(1, 1, identity(b"a"), 1),
    Resolve(1, 1, identity(b"a"), 0),
    TakeRange(1),
)
"""One of each kind, from what everybody may ask to what only nodes may."""


class Gated:
    """A gate, and one client in front of it."""

    def __init__(
        self,
        role: Role = Role.READ_WRITE,
        prefix: bytes = b"",
        allowance: Allowance | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.access = Access("billing", role, prefix, allowance or Allowance())
        self.grants: dict[str, Grant] = {CLIENT: grant_of(self.access)}
        self.gate = ServerGate(OWN, self.grants.get, Latencies(self.clock, slow_ms=0), self.count)

    def count(self) -> None:
        """One connection, as the transport would count it."""
        self.access.usage.connections = 1

    def ask(self, body: Body, *, sender: str = CLIENT, size: int = 100) -> FastnessError | None:
        """What a request is refused with."""
        return self.gate.refusal(sender, Frame(1, CALL, 1, 0, body), size)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_it_may(role: Role) -> None:
    """Every kind of request is let in for the roles that have it, and refused for the others."""
    gated = Gated(role)
    for body in REQUESTS:
        error = gated.ask(body)
        if type(body) in ALLOWED[role]:
            assert error is None, body
        else:
            assert isinstance(error, PermissionDenied)
            assert type(body).__name__ in str(error)
            assert "billing" in str(error)


def test_every_request_has_its_role() -> None:
    """A kind of request that no role has would be refused to nodes too: there is none."""
    assert ALLOWED[Role.NODE] == {type(body) for body in REQUESTS}


def test_the_node_itself_and_other_nodes_pass() -> None:
    """Messages of the node to itself, and of nodes to each other, are never refused."""
    gated = Gated()
    gated.grants["10.0.0.2:1#other"] = NODE_GRANT
    for body in REQUESTS:
        assert gated.ask(body, sender=OWN) is None
        assert gated.ask(body, sender="10.0.0.2:1#other") is None


def test_a_connection_that_is_gone() -> None:
    """Whoever has no connection any more has no rights either."""
    assert isinstance(Gated().ask(REQUESTS[0], sender="client/2"), Unauthenticated)


INSIDE: tuple[Body, ...] = (
    Read(1, 1, [SPACE, SPACE + b"a"]),
    Read(1, 1, [], Scan(SPACE, prefix_end(SPACE), 10)),
    Read(1, 1, [], Scan(SPACE + b"a", SPACE + b"b", 10, reverse=True)),
    commit(Content(writes=[Write(SPACE + b"a", None)], erased=[(SPACE, prefix_end(SPACE))])),
    commit(Content(stamped_keys=[Stamped(SPACE + b"log/", b"", b"v")])),
    Decide(1, 1, identity(SPACE + b"a"), 0, [(b"", SYSTEM_END)]),
    Reserve(1, 1, 0, 0, [SPACE + b"a"], [(SPACE, SPACE + b"a")], 1),
)


@pytest.mark.parametrize("body", INSIDE)
def test_inside_the_key_space(body: Body) -> None:
    """A tenant reaches all of its own."""
    assert Gated(prefix=SPACE).ask(body) is None


OUTSIDE: tuple[Body, ...] = (
    Read(1, 1, [SPACE + b"a", b"tenant"]),
    Read(1, 1, [b""]),
    Read(1, 1, [prefix_end(SPACE)]),
    Read(1, 1, [], Scan(b"", prefix_end(SPACE), 10)),
    Read(1, 1, [], Scan(SPACE, prefix_end(SPACE) + b"\x00", 10)),
    Read(1, 1, [], Scan(SPACE + b"b", SPACE + b"a", 10)),
    commit(Content(read_keys=[b"b"])),
    commit(Content(read_intervals=[(SPACE, b"u")])),
    commit(Content(writes=[Write(b"b", b"1")])),
    commit(Content(erased=[(b"a", SPACE)])),
    commit(Content(atomics={b"b": [(1, b"1")]})),
    commit(Content(stamped_keys=[Stamped(b"tenant", b"", b"v")])),
    commit(Content(stamped_values={b"b": (b"", b"")})),
    commit(Content(write_keys=[b"b"])),
    commit(Content(write_intervals=[(b"b", b"c")])),
    commit(Content(writes=[Write(SPACE + b"a", b"1")]), anchor=b"b"),
    Prepare(1, 1, identity(SPACE), 0, 0, Content(writes=[Write(b"b", b"1")])),
    Decide(1, 1, identity(b"b"), 0),
    Reserve(1, 1, 0, 0, [b"b"], [], 1),
    Reserve(1, 1, 0, 0, [], [(b"b", SPACE)], 1),
)


@pytest.mark.parametrize("body", OUTSIDE)
def test_outside_the_key_space(body: Body) -> None:
    """A tenant reaches nothing else, whatever part of a request names it."""
    gated = Gated(prefix=SPACE)
    error = gated.ask(body)
    assert isinstance(error, PermissionDenied)
    assert "outside the key space b'tenant/'" in str(error)
    assert gated.access.usage.refused == 1


def test_every_part_of_a_content_is_looked_at() -> None:
    """A part added to contents must be added to what is looked at (and to this list)."""
    looked_at = {
        "read_keys",
        "read_intervals",
        "writes",
        "erased",
        "atomics",
        "stamped_keys",
        "stamped_values",
        "write_keys",
        "write_intervals",
    }
    assert set(Content.__struct_fields__) - looked_at == {"read_timestamp", "alive_until", "size"}


def test_operations_are_keys_and_intervals() -> None:
    """A batch of reads or writes counts for as many as it has."""
    assert operations_in(Read(1, 1, [b"a", b"b"], Scan(b"a", b"b", 1))) == 3
    assert operations_in(MapRequest()) == 1
    content = Content(writes=[Write(b"a", b"1")], read_keys=[b"a", b"b"], atomics={b"c": []})
    assert operations_in(commit(content)) == 4


def test_a_rate_of_operations() -> None:
    """Beyond a second's worth requests are refused, with the time at which to come back."""
    gated = Gated(allowance=Allowance(operations_per_second=10))
    batch = Read(1, 1, [b"k"] * 15)
    assert gated.ask(batch) is None
    error = gated.ask(REQUESTS[0])
    assert isinstance(error, RateLimited)
    assert error.retryable
    assert 500 <= error.retry_after_ms <= 502
    gated.clock.advance(milliseconds=error.retry_after_ms)
    assert gated.ask(REQUESTS[0]) is None
    assert gated.access.usage.limited == 1


def test_a_rate_of_bytes_counts_both_ways() -> None:
    """Answers count too: a small question with a large answer is paid for afterwards."""
    gated = Gated(allowance=Allowance(bytes_per_second=1_000))
    assert gated.ask(REQUESTS[0]) is None
    gated.gate.sent(CLIENT, 2_900)
    error = gated.ask(REQUESTS[0])
    assert isinstance(error, RateLimited)
    assert 2_000 <= error.retry_after_ms <= 2_002
    assert gated.access.usage.bytes_out == 2_900


def test_what_ends_transactions_is_never_told_to_wait() -> None:
    """Others may wait for just this message."""
    gated = Gated(allowance=Allowance(operations_per_second=1, in_flight=1))
    assert gated.ask(Read(1, 1, [b"k"] * 100)) is None
    assert isinstance(gated.ask(REQUESTS[0]), RateLimited)
    assert gated.ask(Decide(1, 1, identity(b"a"), 0)) is None
    assert gated.ask(InvalidateAck(1, 1, 1, 1)) is None


def test_requests_in_flight() -> None:
    """While too many are being worked on, no more are let in; each end makes room."""
    gated = Gated(allowance=Allowance(in_flight=2))
    request = Read(1, 1, [b"a"])
    first = gated.gate.began(CLIENT, request)
    second = gated.gate.began(CLIENT, request)
    assert isinstance(gated.ask(request), Overloaded)
    del gated.grants[CLIENT]
    first.ended(None)
    second.ended(None)
    assert gated.access.usage.in_flight == 0


def test_a_token_that_has_ended() -> None:
    """Open connections of a token that was revoked are refused everything."""
    gated = Gated()
    gated.access.ended = "revoked"
    error = gated.ask(REQUESTS[0])
    assert isinstance(error, Unauthenticated)
    assert "is revoked" in str(error)


@pytest.mark.parametrize(
    ("role", "prefix", "believed"),
    [
        (Role.ADMIN, b"", True),
        (Role.READ_WRITE, b"", True),
        (Role.READ_WRITE, SPACE, False),
        (Role.READ_ONLY, b"", False),
    ],
)
def test_who_is_believed(role: Role, prefix: bytes, *, believed: bool) -> None:
    """Tenants and readers could only do harm with timestamps they make up."""
    gated = Gated(role, prefix)
    assert gated.gate.believes(CLIENT) is believed
    assert gated.gate.believes(OWN)
    assert not gated.gate.believes("client/2")


def test_how_long_requests_took() -> None:
    """Each request is timed under its name, by the clock of the process."""
    gated = Gated()
    latencies = Latencies(gated.clock, slow_ms=5)
    gate = ServerGate(OWN, gated.grants.get, latencies, gated.count)
    for request in (Read(1, 1, [b"a"]), Read(1, 1, [], Scan(b"a", b"b", 1)), commit(Content())):
        work = gate.began(CLIENT, request)
        gated.clock.advance(milliseconds=7)
        work.ended(None)
    assert {name: one.sum_ns for name, one in latencies.by_name.items() if one.total} == {
        "read": 7_000_000,
        "scan": 7_000_000,
        "commit": 7_000_000,
    }
    assert latencies.slow == 3


def test_requests_are_decoded_structures() -> None:
    """The requests above survive the codec: they are what a client could send."""
    for body in (*REQUESTS, *INSIDE, *OUTSIDE):
        encoded = msgspec.msgpack.encode(body)
        assert msgspec.msgpack.decode(encoded, type=type(body)) == body
