"""The test vectors of the wire protocol: `python -m tests.transport.vectors` writes them anew.

They are for whoever writes a client in another language, so they are made once, by hand, from
the structures, and any change of a byte in them is a change of the protocol.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from fastness.placement.descriptors import Descriptor
from fastness.ranges.commit import Stamped
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Content,
    Decide,
    Decision,
    Done,
    Grant,
    Invalidate,
    InvalidateAck,
    Pending,
    Prepare,
    Prepared,
    Read,
    ReadAnswer,
    RenewCache,
    Reserve,
    Resolve,
    Resolved,
    Scan,
    Write,
)
from fastness.transport.framing import CONTROL, HEADER_BYTES, control_frame, message_frame
from fastness.wire.figures import FiguresAnswer, FiguresRequest, StoreFigures, TokenUse
from fastness.wire.handshake import Control, Hello, Ping, Pong, Welcome, encode_control
from fastness.wire.messages import (
    ANSWER,
    CALL,
    NOTICE,
    Body,
    Drain,
    Draw,
    Drawn,
    MapAnswer,
    MapRequest,
    MergeRange,
    MoveRange,
    Refusal,
    SplitRange,
    TakeRange,
    TransferLease,
    encode_frame,
    encode_traced,
)
from fastness.wire.reports import NodeReport, RangeReport, ReportRequest, StoreReport

PATH = Path(__file__).with_name("vectors.json")

T = 1_700_000_000_000 << 18
ID = T.to_bytes(8, "big") + bytes(range(8)) + b"anchor"
CLIENT = "client/000102030405060708090a0b0c0d0e0f"
NODE = "10.0.0.1:3278#0011223344556677"
CELL = T.to_bytes(8, "big") + b"value"
EXPIRING = (T | 1 << 63).to_bytes(8, "big") + (T + 1).to_bytes(8, "big") + b"value"
CONTENT = Content(
    read_timestamp=T,
    read_keys=[b"a", b"b"],
    read_intervals=[(b"c", b"d")],
    writes=[Write(b"a", b"1"), Write(b"b", None), Write(b"e", b"2", T + 5)],
    erased=[(b"f", b"g")],
    atomics={b"h": [(1, (5).to_bytes(8, "little")), (4, b"tail")]},
    stamped_keys=[Stamped(b"log/", b"/x", b"entry", 1)],
    stamped_values={b"i": (b"<", b">")},
    write_keys=[b"j"],
    write_intervals=[(b"k", b"l")],
    alive_until=T + 9,
    size=42,
)
DESCRIPTOR = Descriptor(7, b"", b"\xff\xff", 3, "store", 2, NODE, 11, released=False)
USE = TokenUse("billing", 9, 12, 1_000, 2_000, 2, 1, 1, 3)
STORE = StoreFigures("00112233445566778899aabbccddeeff", T, 7, 0, 4_096, 5, 3, 8)

CONTROLS: dict[str, Control] = {
    "hello": Hello("fastness", [1], CLIENT, "a token", "10.0.0.1:3278", agent="client/1.0"),
    "hello of a client that blocks": Hello(
        "fastness", [1, 2], CLIENT, "", "unix:/run/fastness.sock", answers_pings=False
    ),
    "welcome": Welcome(1, NODE, "read-write", b"tenant/", "service", 33_554_432, 10_000),
    "welcome of a server that takes traces": Welcome(
        1, NODE, "admin", b"", "root", 33_554_432, 10_000, takes_traces=True
    ),
    "ping": Ping(1),
    "pong": Pong(1),
    "turned away": Refusal("unauthenticated", "this token is unknown: get another"),
}

REPORT = NodeReport(
    name="one",
    version="1.0",
    protocols=[1],
    state="serving",
    is_oracle=True,
    wall_ms=1_700_000_000_000,
    issued=T,
    uptime_ms=5_000,
    ranges=[
        RangeReport(7, 3, 2, 12.5, True, b"m", True, "split", 1, T, T + 1, 4_096, b"k", 2_000),  # noqa: FBT003 - a field
    ],
    stores=[
        StoreReport("main", size_bytes=8_192, keys=10),
        StoreReport("other", "no primary answers"),
    ],
    counts={"requests": 9},
)

MESSAGES: dict[str, tuple[int, int, int, Body]] = {
    "read of the newest": (CALL, 1, 0, Read(7, 3, [b"a", b"b"])),
    "read and scan at a timestamp": (
        CALL, 2, T, Read(7, 3, [], Scan(b"a", b"c", 10, reverse=True), T),
    ),
    "read to be cached": (CALL, 3, T, Read(7, 3, [b"a"], None, 0, cache=True, lease=4)),
    "answer to a read": (
        ANSWER, 2, T, ReadAnswer([CELL, None], [(b"b", EXPIRING)], False, T),  # noqa: FBT003 - a field
    ),
    "answer that may be kept": (
        ANSWER, 3, T, ReadAnswer([CELL], [], True, T, Grant(4, 2, 1_000, T)),  # noqa: FBT003 - a field
    ),
    "commit in one range": (CALL, 4, T, CommitOne(7, 3, ID, T, CONTENT)),
    "smallest commit": (
        CALL, 5, 0, CommitOne(7, 3, ID, T, Content(writes=[Write(b"anchor", b"1")], size=7), 4),
    ),
    "prepare": (CALL, 6, T, Prepare(7, 3, ID, T, T + 1, Content(read_keys=[b"a"]))),
    "prepared": (ANSWER, 6, T, Prepared(T, 0, (b"", b"\xff\xff"))),
    "decide to commit": (CALL, 7, T, Decide(7, 3, ID, T + 1, [(b"", b"m"), (b"m", b"\xff\xff")])),
    "decide to abort": (CALL, 8, T, Decide(7, 3, ID, 0)),
    "decision": (ANSWER, 7, T, Decision(T + 1)),
    "ask": (CALL, 9, T, Ask(7, 3, ID, T + 1)),
    "pending": (ANSWER, 9, T, Pending()),
    "resolve": (CALL, 10, T, Resolve(7, 3, ID, T + 1)),
    "resolved": (ANSWER, 10, T, Resolved((b"", b"m"))),
    "reserve": (CALL, 11, T, Reserve(7, 3, T, 1 << 63 | 5, [b"a"], [(b"c", b"d")], 1_000)),
    "done": (ANSWER, 11, T, Done()),
    "renew a cache lease": (CALL, 12, T, RenewCache(7, 3, 4)),
    "grant": (ANSWER, 12, T, Grant(4, 2, 1_000, T)),
    "invalidate": (NOTICE, 0, T, Invalidate(7, 2, 4, 9, [b"a"], [(b"c", b"d")])),
    "acknowledge": (NOTICE, 0, T, InvalidateAck(7, 2, 4, 9)),
    "draw": (CALL, 13, 0, Draw(3)),
    "draw to read at": (CALL, 13, 0, Draw(1, reading=True)),
    "drawn": (ANSWER, 13, T, Drawn(T + 1, 3)),
    "ask for the map": (CALL, 14, 0, MapRequest()),
    "map": (ANSWER, 14, T, MapAnswer([DESCRIPTOR], NODE, [NODE])),
    "split": (CALL, 15, T, SplitRange(7, 3, b"m")),
    "merge": (CALL, 16, T, MergeRange(7, 3)),
    "transfer": (CALL, 17, T, TransferLease(7, 3, NODE)),
    "move": (CALL, 20, T, MoveRange(7, 3, "store-b")),
    "take": (NOTICE, 0, T, TakeRange(7)),
    "drain": (CALL, 18, T, Drain()),
    "ask for figures": (CALL, 19, T, FiguresRequest()),
    "figures": (
        ANSWER, 19, T,
        FiguresAnswer("server/1.0", 5_000, True, "the disk is full", T, USE, STORE),  # noqa: FBT003 - a field
    ),
    "figures for a tenant": (
        ANSWER, 19, T, FiguresAnswer("server/1.0", 5_000, False, "", T, USE),  # noqa: FBT003 - a field
    ),
    "ask for a report": (CALL, 20, T, ReportRequest()),
    "report": (ANSWER, 20, T, REPORT),
    "conflict": (ANSWER, 4, T, Refusal("conflict", "run it again", b"a", T + 3)),
    "range moved": (
        ANSWER, 5, T, Refusal("range_moved", "ask the holder", descriptors=[DESCRIPTOR]),
    ),
    "rate limited": (ANSWER, 1, T, Refusal("rate_limited", "later", retry_after_ms=250)),
}  # fmt: skip

TRACE = bytes(range(1, 25)) + b"\x01"
TRACED: dict[str, tuple[int, int, int, Body]] = {
    "read that belongs to a trace": (CALL, 20, T, Read(7, 3, [b"a"])),
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "no frame of a client": (b"GET / HTTP/1.1\r\n\r\n", "limit_exceeded"),
    "a frame too long": ((64 << 20).to_bytes(4, "big"), "limit_exceeded"),
    "an unknown frame of the transport": (control_frame(b"\x92\x63\x01"), "invalid_encoding"),
    "a message that is no array": (message_frame(b"\x01"), "invalid_encoding"),
    "a message cut short": (message_frame(b"\x95\x01\x00\x01\x00\x92"), "invalid_encoding"),
    "a trace that is no bytes": (
        message_frame(b"\x96\x01\x00\x01\x00\x91\x3e\x00"), "invalid_encoding",
    ),
    "a message of seven elements": (
        message_frame(b"\x97\x01\x00\x01\x00\x91\x3e\xc4\x00\x00"), "invalid_encoding",
    ),
    "another version": (message_frame(b"\x95\x02\x00\x01\x00\x91\x3e"), "protocol_mismatch"),
    "an unknown kind": (message_frame(b"\x95\x01\x03\x01\x00\x91\x3e"), "invalid_encoding"),
    "an unknown tag": (message_frame(b"\x95\x01\x00\x01\x00\x91\x63"), "invalid_encoding"),
    "a negative number": (message_frame(b"\x95\x01\x00\xff\x00\x91\x3e"), "invalid_encoding"),
}  # fmt: skip


def plain(value: object) -> Any:  # noqa: ANN401 - what JSON can hold
    """What msgpack decoded, as JSON can say it."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return [[plain(key), plain(one)] for key, one in value.items()]
    return value


def packed(value: Any) -> Any:  # noqa: ANN401 - as above
    """The reverse of `plain`; a map is told by its place in a Content alone."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return [packed(one) for one in value] if isinstance(value, list) else value


def vectors() -> list[dict[str, Any]]:
    """All of them, in order."""
    frames = {name: control_frame(encode_control(one)) for name, one in CONTROLS.items()}
    for name, message in MESSAGES.items():
        frames[name] = message_frame(encode_frame(*message))
    for name, message in TRACED.items():
        frames[name] = message_frame(encode_traced(*message, TRACE))
    found = [
        {
            "name": name,
            "transport": bool(frame[0] & CONTROL >> 24),
            "hex": frame.hex(),
            "means": plain(msgspec.msgpack.decode(frame[HEADER_BYTES:], strict=False)),
        }
        for name, frame in frames.items()
    ]
    for name, (frame, code) in REFUSED.items():
        found.append({"name": name, "hex": frame.hex(), "error": code})
    return found


def text() -> str:
    """The file: one vector a line, so that a change shows as one."""
    lines = ",\n".join(json.dumps(one) for one in vectors())
    return f"[\n{lines}\n]\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {len(vectors())} vectors to {PATH.name}\n")
