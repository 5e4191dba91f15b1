"""The stored form of one version of a value.

::

    plain     header = commit timestamp, bit 63 clear   value...
    expiring  header = commit timestamp, bit 63 set     expiry (8 bytes)   value...

Header and expiry are 8 bytes, big-endian. A timestamp has 63 bits, so the top bit is free,
and the form makes two hot checks one comparison of byte strings each:

* `cell < bound(R)` holds exactly for a plain cell committed at or below R: the reader may
  return `cell[8:]` at once. Everything else (newer, or expiring) takes the slower path.
* `max(cells) < bound(R)` says the same of a whole page.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import StoreDamaged

HEADER_BYTES = 8
EXPIRING = 1 << 63

_pack = Struct(">Q").pack
_unpack_from = Struct(">Q").unpack_from


def header(timestamp: int) -> bytes:
    """The 8-byte header of a plain cell committed at `timestamp`."""
    return _pack(timestamp)


def bound(timestamp: int) -> bytes:
    """The least header above every plain cell that a reader at `timestamp` may see."""
    return _pack(timestamp + 1)


def plain(timestamp: int, value: bytes) -> bytes:
    """The cell of `value` committed at `timestamp`."""
    return _pack(timestamp) + value


def expiring(timestamp: int, expires_at: int, value: bytes) -> bytes:
    """The cell of `value` committed at `timestamp`, gone for readers at or above `expires_at`."""
    return _pack(timestamp | EXPIRING) + _pack(expires_at) + value


def timestamp_of(cell: bytes) -> int:
    """The commit timestamp of a cell; `StoreDamaged` for bytes that are none."""
    try:
        head: int = _unpack_from(cell)[0]
    except struct_error:
        raise cut_short(cell) from None
    return head & TIMESTAMP_MAX


def expiry_of(cell: bytes) -> int:
    """The timestamp from which the value is gone; 0 where it never expires."""
    if cell[:1] < b"\x80":
        return 0
    try:
        expires_at: int = _unpack_from(cell, 8)[0]
    except struct_error:
        raise cut_short(cell) from None
    return expires_at


def gone_at(timestamp: int, expires_at: int) -> int:
    """The timestamp from which a value shows nothing to anybody.

    Its expiry, or its commit where that is later: a value may be written that has expired.
    """
    return max(timestamp, expires_at)


def gone_from(cell: bytes) -> int:
    """The timestamp from which a cell shows nothing to anybody; 0 where it never expires."""
    return gone_at(timestamp_of(cell), expiry_of(cell)) if cell[:1] >= b"\x80" else 0


def lasting(cell: bytes | None, horizon: int) -> bytes | None:
    """The cell, or `None` where pruning up to `horizon` may take it, or has taken it, away.

    Readers at or above the horizon see no difference; whoever compares cells must make none.
    """
    return None if cell is not None and 0 < gone_from(cell) <= horizon else cell


def value_of(cell: bytes) -> bytes:
    """The value alone, whether or not it has expired."""
    return cell[8:] if cell[:1] < b"\x80" else cell[16:]


def cut_short(cell: bytes) -> StoreDamaged:
    """What is wrong with a cell that lacks its header or its expiry."""
    return StoreDamaged(f"the stored cell {cell!r} is cut short: restore a backup")


def value_at(cell: bytes | None, read_timestamp: int) -> bytes | None:
    """What a reader at `read_timestamp` sees of a cell committed at or below it.

    `None` for an absent or expired value: expired means the expiry is at or below the
    read timestamp, so that every reader of one snapshot agrees.
    """
    if cell is None:
        return None
    if cell[:1] < b"\x80":
        return cell[8:]
    expires_at: int = expiry_of(cell)
    return cell[16:] if expires_at > read_timestamp else None
