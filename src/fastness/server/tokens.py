"""Tokens: what a client shows to be let in, and what a server keeps of it.

::

    fastness_<id: 12 letters and digits>_<secret: 43 letters, digits, - and _>

The id finds the record, the secret (256 random bits) proves it. A server keeps a salted BLAKE2b
digest of the secret. Slow password hashes (scrypt, argon2) make guessing costly where a person
chose the secret and there are few to guess; nobody guesses one of 2^256, so slowness would only
give strangers a way to keep the server busy. The salt keeps equal digests from showing equal
secrets. The word in front lets scanners of repositories and logs recognize a leaked token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

import msgspec

from fastness.encoding.intervals import USER_END
from fastness.errors import InvalidOption
from fastness.limits import KEY_SPACE_BYTES_MAX
from fastness.wire.handshake import Role

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters, none of which is mistaken for another."""
_ID_CHARACTERS = 12
_SECRET_BYTES = 32
_SALT_BYTES = 16
_CREDENTIAL = re.compile(r"fastness_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@/+-]{0,63}")

ROLES = (Role.ADMIN, Role.READ_WRITE, Role.READ_ONLY)
"""What a token may be given; nodes of a cluster know each other otherwise."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """How much the holder of a token may take; 0 stands for as much as the server gives."""

    operations_per_second: int = 0
    """Keys and scans, each counts; a second's worth may come at once."""
    bytes_per_second: int = 0
    """Of frames, in and out."""
    connections: int = 0
    in_flight: int = 0
    """Requests being worked on."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a token. Times are milliseconds since 1970, 0 for never."""

    id: str
    name: str
    role: Role
    salt: bytes
    digest: bytes
    key_space: bytes = b""
    """The prefix of every key its holder reaches; empty: all keys."""
    created_ms: int = 0
    expires_ms: int = 0
    revoked_ms: int = 0
    allowance: Allowance = Allowance()

    def proves(self, secret: str) -> bool:
        """Whether this is the token's secret; takes as long whatever is wrong with it."""
        return hmac.compare_digest(_digest(secret, self.salt), self.digest)

    def ended(self, now_ms: int) -> str:
        """Why it is no longer good, empty while it is."""
        if self.revoked_ms:
            return "revoked"
        if self.expires_ms and now_ms >= self.expires_ms:
            return "expired"
        return ""


class Issued(NamedTuple):
    """A new token: the record to keep, and what its holder is given, which nobody sees again."""

    token: Token
    credential: str


class Credential(NamedTuple):
    """The two parts of what a client shows."""

    id: str
    secret: str


def issue(
    *,
    name: str,
    role: Role,
    key_space: bytes = b"",
    now_ms: int,
    expires_ms: int = 0,
    allowance: Allowance | None = None,
) -> Issued:
    """A new token; `InvalidOption` for a name, key space or expiry that will not do."""
    _check_name(name)
    if role not in ROLES:
        raise InvalidOption(f"role {role.value!r} is for no token: take one of {_listed(ROLES)}")
    _check_key_space(role, key_space)
    if expires_ms and expires_ms <= now_ms:
        raise InvalidOption(f"token {name!r} would expire before now: name a later time")
    identity = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARACTERS))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    salt = secrets.token_bytes(_SALT_BYTES)
    token = Token(
        id=identity,
        name=name,
        role=role,
        salt=salt,
        digest=_digest(secret, salt),
        key_space=key_space,
        created_ms=now_ms,
        expires_ms=expires_ms,
        allowance=Allowance() if allowance is None else allowance,
    )
    return Issued(token, f"fastness_{identity}_{secret}")


def parse_credential(text: str) -> Credential | None:
    """The parts of a credential, `None` for a text that is none."""
    found = _CREDENTIAL.fullmatch(text)
    return None if found is None else Credential(found[1], found[2])


def _digest(secret: str, salt: bytes) -> bytes:
    return hashlib.blake2b(
        secret.encode(), digest_size=32, salt=salt, person=b"fastness token"
    ).digest()


def _listed(roles: tuple[Role, ...]) -> str:
    return ", ".join(role.value for role in roles)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidOption(
            f"token name {name!r} is not 1 to 64 letters, digits and any of _.@/+- after the "
            "first: name the service or person who will use it, such as 'billing'"
        )


def _check_key_space(role: Role, key_space: bytes) -> None:
    if not key_space:
        return
    if role is Role.ADMIN:
        raise InvalidOption(
            f"key space {key_space!r} for an admin: who runs the server reaches all of it; leave "
            "the key space out, or choose read-write"
        )
    if key_space >= USER_END:
        raise InvalidOption(
            f"key space {key_space!r} lies in the system space: take a prefix below 0xff, such "
            "as a packed tuple, '(\"billing\",)'"
        )
    if len(key_space) > KEY_SPACE_BYTES_MAX:
        raise InvalidOption(
            f"key space {key_space[:40]!r}.. has {len(key_space)} bytes, more than "
            f"{KEY_SPACE_BYTES_MAX}: every key carries it, so take a short one"
        )
