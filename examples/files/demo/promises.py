"""What a process says of its commits before it is killed, and how that is heard.

Frames on a pipe: one byte for the kind, four for the length, then msgpack. Before each
transaction the ids it is about to create are announced; after the commit the entries are
acknowledged as they were stored. Death may cut the last frame off: then it was not said.
"""

from __future__ import annotations

import os
from typing import IO, NamedTuple

from msgspec.msgpack import Decoder, Encoder

from examples.files.schema import Entry, EntryId

ANNOUNCED, ACKNOWLEDGED, LOADED = b"?", b"!", b"."

_LENGTH_BYTES = 4
_encode = Encoder().encode
_ids = Decoder(list[EntryId])
_entries = Decoder(list[Entry])


class Told(NamedTuple):
    """What a victim had said when it died."""

    acknowledged: list[Entry]
    commits: int
    in_flight: list[EntryId]
    """Announced but not acknowledged: may be there, all of them or none."""


def write_frame(descriptor: int, kind: bytes, content: object) -> None:
    """One frame: its kind, its length, msgpack. Complete or, at the end of a life, cut off."""
    body = _encode(content)
    frame = kind + len(body).to_bytes(_LENGTH_BYTES, "big") + body
    while frame:
        frame = frame[os.write(descriptor, frame) :]


def read_frame(pipe: IO[bytes]) -> tuple[bytes, bytes] | None:
    """The kind and the content of the next frame; `None` when all was said, the rest cut off."""
    head = pipe.read(1 + _LENGTH_BYTES)
    body = pipe.read(int.from_bytes(head[1:], "big"))
    if len(head) <= _LENGTH_BYTES or len(body) < int.from_bytes(head[1:], "big"):
        return None
    return head[:1], body


def entries_of(body: bytes) -> list[Entry]:
    """The entries of a frame that acknowledges."""
    return _entries.decode(body)


class Listener:
    """Reads the frames of a victim."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._acknowledged: list[Entry] = []
        self._in_flight: list[EntryId] = []
        self.commits = 0
        self.loaded = False
        """Whether the whole tree is loaded: nothing more will be said."""

    def hear(self) -> bool:
        """Take the next frame in; `False` when the victim is dead and has said everything."""
        frame = read_frame(self._pipe)
        if frame is None:
            return False
        kind, body = frame
        if kind == ANNOUNCED:
            self._in_flight = _ids.decode(body)
        elif kind == LOADED:
            self.loaded = True
        else:
            self._acknowledged += entries_of(body)
            self._in_flight = []
            self.commits += 1
        return True

    def told(self) -> Told:
        """Everything heard."""
        return Told(self._acknowledged, self.commits, self._in_flight)
