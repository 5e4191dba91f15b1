"""A client written from the page of the protocol alone, against a real server process.

It shares no code with ours: a socket, and MessagePack to and from plain values. What it needs to
know stands in docs/PROTOCOL.md; if this works, so does a client in another language.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.server.processes import serving

pytestmark = pytest.mark.process

PATIENCE_S = 60.0
COMMITTED, REFUSED = 23, 80


class PlainClient:
    """Calls and notices over one connection."""

    def __init__(self, seed: str, token: str = "") -> None:
        host, _, port = seed.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self.address = "client/" + os.urandom(16).hex()
        self.number = 0
        self.issued = 0
        self.notices: list[list[Any]] = []
        self._send([90, "fastness", [1], self.address, token, seed], is_control=True)
        is_control, welcome = self._receive()
        assert is_control
        assert welcome[0] == 91, welcome
        _tag, self.version, self.node, self.role, self.prefix, *_rest = welcome
        self.ranges: list[list[Any]] = []
        self.oracle = ""

    def _send(self, payload: list[Any], *, is_control: bool = False) -> None:
        data = msgspec.msgpack.encode(payload)
        self._socket.sendall((len(data) | is_control << 31).to_bytes(4, "big") + data)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            assert more, "the server hung up"
            data += more
        return data

    def _receive(self) -> tuple[bool, list[Any]]:
        while True:
            head = int.from_bytes(self._exactly(4), "big")
            payload = msgspec.msgpack.decode(self._exactly(head & 0x7FFFFFFF))
            if not head >> 31 or payload[0] != 92:
                return bool(head >> 31), payload
            self._send([93, payload[1]], is_control=True)

    def call(self, body: list[Any]) -> list[Any]:
        """The body of the answer; notices that come before it are kept."""
        self.send(body)
        return self.answer()

    def send(self, body: list[Any]) -> None:
        """Send a call, to be answered later."""
        self.number += 1
        self._send([1, 0, self.number, self.issued, body])

    def answer(self) -> list[Any]:
        """The answer to the last call."""
        while True:
            is_control, message = self._receive()
            assert not is_control, message
            _version, kind, number, issued, answer = message
            self.issued = max(self.issued, issued)
            if kind == 2:
                self.notices.append(answer)
            elif number == self.number:
                return list(answer)

    def notice(self, body: list[Any]) -> None:
        """Send what is not answered."""
        self._send([1, 2, 0, self.issued, body])

    def next_notice(self) -> list[Any]:
        """The next notice."""
        while not self.notices:
            _is_control, message = self._receive()
            assert message[1] == 2, message
            self.notices.append(message[4])
        return self.notices.pop(0)

    def learn(self) -> None:
        """Ask for the map until every range is held and there is an oracle."""
        while True:
            tag, self.ranges, self.oracle, _nodes = self.call([62])
            assert tag == 63
            if self.oracle and all(one[6] for one in self.ranges):
                return

    def draw(self, *, reading: bool = True) -> int:
        """A timestamp issued from now on, to read or to commit at."""
        answer = self.call([60, 1, reading])
        assert answer[0] == 61, answer
        self.issued = max(self.issued, answer[1])
        return int(answer[1])

    def place(self, key: bytes) -> list[Any]:
        """Range id and generation for a key."""
        return next(one[:4:3] for one in self.ranges if one[1] <= key < one[2])

    def cell(self, key: bytes, at: int = 0) -> bytes | None:
        """The cell of a key."""
        answer = self.call([1, *self.place(key), [key], None, at])
        assert answer[0] == 21, answer
        return answer[1][0]  # type: ignore[no-any-return]  # of plain values

    def identity(self, anchor: bytes) -> bytes:
        """A new id."""
        return self.issued.to_bytes(8, "big") + os.urandom(8) + anchor

    def write(self, key: bytes, value: bytes | None, *, reads: bytes = b"", at: int = 0) -> Any:  # noqa: ANN401 - plain values
        """Commit one write, having read `reads` at `at`; the whole answer."""
        content = [at, [reads] if reads else [], [], [[key, value, 0]]]
        return self.call([2, *self.place(key), self.identity(key), self.issued, content])

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that lets everybody on this machine in."""
    with serving(tmp_path_factory.mktemp("server") / "data") as server:
        yield server.seeds[0]


@pytest.fixture
def client(seed: str) -> Iterator[PlainClient]:
    """A client that knows the map."""
    started = PlainClient(seed)
    started.learn()
    started.draw()
    yield started
    started.close()


def test_it_is_welcome_and_finds_its_way(client: PlainClient, seed: str) -> None:
    """The server answers under its full address, holds the keys, and is the oracle."""
    assert client.node.startswith(f"{seed}#")
    assert (client.version, client.role, client.prefix) == (1, "admin", b"")
    assert client.oracle == client.node
    assert (client.ranges[0][1], client.ranges[-1][2]) == (b"", b"\xff\xff")


def test_it_writes_and_reads(client: PlainClient) -> None:
    """The newest, the past, an absence, and scans in both directions."""
    tag, first = client.write(b"page/a", b"1")
    assert tag == COMMITTED
    tag, second = client.write(b"page/a", b"2")
    assert tag == COMMITTED
    assert second > first
    client.write(b"page/b", b"3")
    cell = client.cell(b"page/a")
    assert cell == second.to_bytes(8, "big") + b"2"
    old = client.cell(b"page/a", first)
    assert old is not None
    assert old[8:] == b"1"
    assert client.cell(b"page/none") is None
    now = client.draw()
    for reverse, keys in ((False, [b"page/a"]), (True, [b"page/b"])):
        scan = [b"page/", b"page0", 1, reverse]
        answer = client.call([1, *client.place(b"page/"), [], scan, now])
        assert ([entry[0] for entry in answer[2]], answer[3]) == (keys, False)


def test_what_was_read_must_not_have_changed(client: PlainClient) -> None:
    """A conflict names the key and the winner, and nothing was written."""
    client.write(b"seen", b"1")
    at = client.draw()
    _tag, winner = client.write(b"seen", b"2")
    refused = client.write(b"written", b"x", reads=b"seen", at=at)
    assert (refused[0], refused[1], refused[3], refused[4]) == (
        REFUSED, "conflict", b"seen", winner,
    )  # fmt: skip
    assert client.cell(b"written") is None
    again = client.write(b"written", b"x", reads=b"seen", at=client.draw())
    assert again[0] == COMMITTED


def test_a_commit_sent_again_is_the_same_commit(client: PlainClient) -> None:
    """Under its id; and the id tells what became of it, also of one that was never sent."""
    client.draw()
    identity = client.identity(b"once")
    counter = (5).to_bytes(8, "little")
    body = [
        2, *client.place(b"once"), identity, client.issued,
        [0, [], [], [], [], {b"once": [[1, counter]]}],
    ]  # fmt: skip
    first = client.call(body)
    assert first[0] == COMMITTED
    assert client.call(body) == first
    cell = client.cell(b"once")
    assert cell is not None
    assert cell[8:] == counter
    decide = [4, *client.place(b"once"), identity, 0]
    assert client.call(decide) == first
    unsent = client.identity(b"never")
    assert client.call([4, *client.place(b"never"), unsent, 0]) == [COMMITTED, 0]
    late = [2, *client.place(b"never"), unsent, client.issued, [0, [], [], [[b"never", b"", 0]]]]
    assert client.call(late) == [COMMITTED, 0]


def test_it_commits_across_ranges(client: PlainClient) -> None:
    """After a split: the stale place is corrected, both parts promise, one decision counts."""
    before = client.place(b"left")
    assert client.call([64, *before, b"middle"]) == [26]
    stale = client.call([1, *before, [b"left"]])
    assert (stale[0], stale[1]) == (REFUSED, "range_moved")
    assert stale[5], "the newer descriptors"
    client.learn()
    assert len(client.ranges) == 2
    start = client.draw()
    identity = client.identity(b"left")
    deadline = client.issued + (2_000 << 18)
    promises = [
        client.call(
            [3, *client.place(key), identity, start, deadline, [0, [], [], [[key, value, 0]]]]
        )
        for key, value in ((b"left", b"l"), (b"right", b"r"))
    ]
    assert [promise[0] for promise in promises] == [22, 22]
    commit = client.draw(reading=False)
    assert all(commit > promise[1] for promise in promises)
    spans = [promise[3] for promise in promises]
    decide = [4, *client.place(b"left"), identity, commit, spans]
    assert client.call(decide) == [COMMITTED, commit]
    at = client.draw()
    cells = [client.cell(key, at) for key in (b"left", b"right")]
    assert cells == [commit.to_bytes(8, "big") + value for value in (b"l", b"r")]


def test_it_caches_and_is_told(client: PlainClient, seed: str) -> None:
    """A grant, an invalidation that a writer waits for, and a lease that is renewed."""
    client.write(b"cached", b"1")
    answer: list[Any] = [None] * 6
    while answer[5] is None:
        answer = client.call([1, *client.place(b"cached"), [b"cached"], None, 0, True, 0])
    tag, lease, _epoch, milliseconds, _valid_from = answer[5]
    assert (tag, milliseconds > 0) == (20, True)
    renewed = client.call([8, *client.place(b"cached"), lease])
    assert renewed[:2] == [20, lease]
    other = PlainClient(seed)
    other.learn()
    content = [0, [], [], [[b"cached", b"2", 0]]]
    other.draw()
    body = [2, *other.place(b"cached"), other.identity(b"cached"), other.issued, content]
    other.send(body)
    told = client.next_notice()
    assert (told[0], told[5]) == (40, [b"cached"])
    client.notice([41, *told[1:5]])
    assert other.answer()[0] == COMMITTED
    cell = client.cell(b"cached")
    assert cell is not None
    assert cell[8:] == b"2"
    other.close()
