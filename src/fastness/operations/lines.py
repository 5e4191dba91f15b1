"""The export format: a database as JSON lines, readable, lossless and complete or refused.

::

    {"fastness_export":1,"id":"5e...","identity":"91...","timestamp":...,"taken":"...","records":true}
    {"key":"greeting","value":"hello"}
    {"key":{"base64":"AnVzZXJzABUq"},"value":"...","expires_at":466548...}
    ...
    {"entries":2,"sha256":"..."}

One header; one line per key, in strictly rising order of keys; one trailer with the number of
entries and the SHA-256 of every byte before it. A file without its trailer was cut short, a
file with another digest was changed: both are refused.

Bytes are a JSON string where they are UTF-8 text of printable characters, else an object
`{"base64": ...}`; either way the very bytes come back. Keys of the system space (typed
records, their indexes, the schema) are lines like any other. `expires_at` is the timestamp
from which a value is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from fastness.encoding.intervals import SYSTEM_END, USER_END
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import ForeignStore, InvalidEncoding, LimitExceeded, StoreDamaged
from fastness.limits import Limits

T = TypeVar("T")

EXPORT_FORMAT = 1
LINE_BYTES_MAX = 32 << 20
"""Far above what a key and a value at their limits take; a longer line is damage."""


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """The first line."""

    fastness_export: int
    """The format."""
    id: str
    """Of this export: an interrupted import goes on only with the same one."""
    identity: str
    """Of the database it was taken from."""
    timestamp: Timestamp
    """The snapshot: exactly what was committed at or below it, and had not expired."""
    taken: datetime
    records: bool
    """Whether there are keys of the system space: typed records or their schema."""


class Binary(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes that are no readable text."""

    base64: bytes


class Line(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry as written."""

    key: str | Binary
    value: str | Binary
    expires_at: Timestamp | None = None


class Trailer(Struct, frozen=True, forbid_unknown_fields=True):
    """The last line."""

    entries: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value."""

    key: bytes
    value: bytes
    expires_at: Timestamp | None = None


_encode = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(Header).decode
_decode_line = msgspec.json.Decoder(Line).decode
_decode_trailer = msgspec.json.Decoder(Trailer).decode
_HEADER_BEGIN = b'{"fastness_export":'
_LINE_BEGIN = b'{"key":'
_TRAILER_BEGIN = b'{"entries":'


def readable(data: bytes) -> str | Binary:
    """Text where the bytes are text, else an object that holds them in base64."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return Binary(data)
    return text if text.isprintable() else Binary(data)


def _bytes_of(form: str | Binary) -> bytes:
    return form.encode() if isinstance(form, str) else form.base64


class LineWriter:
    """Writes header, entries and trailer, and counts and digests on the way."""

    def __init__(self, stream: BinaryIO, header: Header) -> None:
        """Write the header at once."""
        self._stream = stream
        self._digest = hashlib.sha256()
        self.entries = 0
        self.bytes = 0
        self._write(_encode(header) + b"\n")

    def write(self, entries: list[Entry]) -> None:
        """Append entries; the caller keeps their keys in rising order."""
        self._write(
            b"".join(
                _encode(Line(readable(entry.key), readable(entry.value), entry.expires_at)) + b"\n"
                for entry in entries
            )
        )
        self.entries += len(entries)

    def finish(self) -> str:
        """Write the trailer; returns the digest it holds."""
        sha256 = self._digest.hexdigest()
        self._write(_encode(Trailer(self.entries, sha256)) + b"\n")
        self._stream.flush()
        return sha256

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        # An unbuffered stream may take less than it is given.
        view = memoryview(data)
        while view:
            view = view[self._stream.write(view) or 0 :]
        self.bytes += len(data)


class LineReader:
    """Reads an export line by line and refuses, with the line's number, what no writer wrote.

    `state()` is the digest so far: two exports that agree on it began with the same lines.
    """

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        """Read the header. `InvalidEncoding` for another kind of file.

        Entries of the user space beyond `limits` are refused with `LimitExceeded`.
        """
        self._stream = stream
        self._limits = limits
        self._digest = hashlib.sha256()
        self._last_key: bytes | None = None
        self.line = 0
        self.bytes = 0
        self.entries = 0
        self.header = self._read_header()

    def state(self) -> str:
        """The digest of every line read so far."""
        return self._digest.hexdigest()

    def _read_header(self) -> Header:
        text = self._read_line()
        if not text.startswith(_HEADER_BEGIN):
            raise InvalidEncoding(
                f"line 1 is {text[:60]!r}, not the header of an export: name a file that "
                "'fastness export' wrote"
            )
        found = _format_of(text)
        if found is not None and found != EXPORT_FORMAT:
            raise ForeignStore(
                f"the export has format {found}, this version reads {EXPORT_FORMAT}: import it "
                "with the version of Fastness that wrote it"
            )
        header = self._decoded(_decode_header, text)
        self._digest.update(text)
        return header

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, up to and including the check of the trailer."""
        while True:
            text = self._read_line()
            if text.startswith(_LINE_BEGIN):
                line = self._decoded(_decode_line, text)
                entry = Entry(_bytes_of(line.key), _bytes_of(line.value), line.expires_at)
                self._check(entry)
                self._digest.update(text)
                self.entries += 1
                yield entry
            elif text.startswith(_TRAILER_BEGIN):
                self._check_trailer(self._decoded(_decode_trailer, text))
                return
            elif not text:
                self._refuse("the file ends without its trailer, so it was cut short")
            else:
                self._refuse(f"{text[:60]!r} is no line of an export")

    def _check(self, entry: Entry) -> None:
        if self._last_key is not None and entry.key <= self._last_key:
            self._refuse(f"key {entry.key[:60]!r} does not come after the one before it")
        if entry.key >= SYSTEM_END:
            self._refuse(f"key {entry.key[:60]!r} lies above every key")
        if entry.expires_at is not None and not 0 < entry.expires_at <= TIMESTAMP_MAX:
            self._refuse(f"expires_at={entry.expires_at} is no timestamp")
        self._last_key = entry.key
        if entry.key < USER_END:
            self._check_size("key_bytes", len(entry.key), self._limits.key_bytes)
            self._check_size("value_bytes", len(entry.value), self._limits.value_bytes)

    def _check_size(self, limit: str, found: int, allowed: int) -> None:
        if found > allowed:
            raise LimitExceeded(
                f"line {self.line}: {found} bytes exceed {limit}={allowed}: open the database "
                "with the limits of the one that was exported"
            )

    def _check_trailer(self, trailer: Trailer) -> None:
        if trailer.entries != self.entries:
            self._refuse(f"{self.entries} entries where the trailer counts {trailer.entries}")
        if trailer.sha256 != self.state():
            self._refuse("the digest is not the trailer's: some line was changed")
        if self._read_line():
            self._refuse("there is more after the trailer")

    def _read_line(self) -> bytes:
        text = self._stream.readline(LINE_BYTES_MAX + 1)
        self.line += 1
        self.bytes += len(text)
        if len(text) > LINE_BYTES_MAX:
            self._refuse(f"the line is longer than {LINE_BYTES_MAX} bytes")
        if text and not text.endswith(b"\n") and self.line > 1:
            self._refuse("the file ends within this line, so it was cut short")
        return text

    def _decoded(self, decode: Callable[[bytes], T], text: bytes) -> T:
        try:
            return decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
            self._refuse(f"{text[:60]!r} is damaged ({cause})")

    def _refuse(self, what: str) -> NoReturn:
        raise StoreDamaged(f"line {self.line}: {what}; use another export")


class _Format(Struct):
    fastness_export: int


def _format_of(text: bytes) -> int | None:
    try:
        return msgspec.json.decode(text, type=_Format).fastness_export
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
