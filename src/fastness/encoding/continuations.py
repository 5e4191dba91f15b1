"""Continuation tokens: where a paged scan goes on, in printable bytes.

A token is base64url (RFC 4648 section 5, without padding) of::

    version (1)   digest of begin, end, direction (8)   checksum (4)   rest of the last key

The last key returned is kept without the prefix that begin and end share, which the scan
supplies again. The digest ties a token to its scan, the checksum covers everything, so a
token of another scan and a damaged one are told apart. Neither is a signature: whoever
may call `scan` may read the interval anyhow, and a key outside of it is refused.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from hashlib import blake2b

from fastness import invariants
from fastness.encoding._messages import shown
from fastness.encoding.intervals import KeyInterval
from fastness.errors import InvalidContinuation

_VERSION = b"\x01"
_DIGEST_BYTES = 8
_CHECKSUM_BYTES = 4
_HEAD_BYTES = len(_VERSION) + _DIGEST_BYTES + _CHECKSUM_BYTES
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_REMEDY = "pass the continuation of the same scan's last page unchanged, or start without one"


def encode(scan: KeyInterval, reverse: bool, last_key: bytes) -> bytes:
    """The token that continues `scan` behind `last_key`, the last key it returned."""
    invariants.check(scan.contains(last_key), "a scan returned a key outside its interval")
    digest = _digest(scan, reverse)
    rest = last_key[_shared(scan) :]
    packed = _VERSION + digest + _checksum(digest, rest) + rest
    return urlsafe_b64encode(packed).rstrip(b"=")


def decode(token: bytes, scan: KeyInterval, reverse: bool) -> bytes:
    """The last key of the page that gave out `token`.

    `InvalidContinuation` when the token is damaged, of another version, or of another
    interval or direction than `scan` and `reverse`.
    """
    packed = _from_printable(token)
    if packed[:1] != _VERSION:
        raise InvalidContinuation(
            f"continuation {shown(token)} is no token of version {_VERSION[0]}; {_REMEDY}"
        )
    digest = packed[1 : 1 + _DIGEST_BYTES]
    checksum, rest = packed[1 + _DIGEST_BYTES : _HEAD_BYTES], packed[_HEAD_BYTES:]
    if len(packed) < _HEAD_BYTES or checksum != _checksum(digest, rest):
        raise InvalidContinuation(f"continuation {shown(token)} is damaged; {_REMEDY}")
    last_key = scan.begin[: _shared(scan)] + rest
    if digest != _digest(scan, reverse) or not scan.contains(last_key):
        raise InvalidContinuation(
            f"continuation {shown(token)} belongs to a scan of another interval or direction; "
            f"{_REMEDY}"
        )
    return last_key


def _from_printable(token: bytes) -> bytes:
    """The bytes of a printable token, in its one canonical spelling."""
    if type(token) is not bytes:
        raise InvalidContinuation(
            f"continuation {shown(token)} of type {type(token).__name__} is not bytes; {_REMEDY}"
        )
    try:
        packed = a2b_base64(token.translate(_FROM_URL) + b"=" * (-len(token) % 4))
    except Base64Error:
        packed = b""
    if urlsafe_b64encode(packed).rstrip(b"=") != token:
        raise InvalidContinuation(f"continuation {shown(token)} is damaged; {_REMEDY}")
    return packed


def _digest(scan: KeyInterval, reverse: bool) -> bytes:
    """What ties a token to its scan. The length of begin keeps begin and end apart."""
    digest = blake2b(digest_size=_DIGEST_BYTES, person=b"fastness scan")
    digest.update(b"%d %d " % (reverse, len(scan.begin)))
    digest.update(scan.begin)
    digest.update(scan.end)
    return digest.digest()


def _checksum(digest: bytes, rest: bytes) -> bytes:
    return blake2b(
        _VERSION + digest + rest, digest_size=_CHECKSUM_BYTES, person=b"fastness token"
    ).digest()


def _shared(scan: KeyInterval) -> int:
    """How many leading bytes begin and end, and with them every key between, share."""
    begin, end = scan
    length = min(len(begin), len(end))
    if begin[:length] == end[:length]:
        return length
    return next(at for at in range(length) if begin[at] != end[at])
