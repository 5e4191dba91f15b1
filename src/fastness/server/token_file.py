"""The token file: JSON, written whole or not at all, readable by its owner alone.

A change takes a lock on the directory, reads, writes a new file beside the old one, makes it
durable and renames it: two commands at once lose nothing, and a reader (the server, at any
moment) finds the old tokens or the new ones. Revoked and expired tokens stay listed, so that a
client hears which it is, and an operator sees who had access until when.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fastness.errors import InvalidOption
from fastness.server.tokens import Issued, Token
from fastness.storage.failures import from_os_error

FORMAT = 1
MODE = 0o600
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: int
    tokens: list[Token]


def read_tokens(path: Path) -> list[Token]:
    """Every token of a file, in the order they were made; `InvalidOption` for one that is none."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise InvalidOption(
            f"there is no token file {path}: make it with 'fastness token create NAME --tokens "
            f"{path}'"
        ) from None
    except OSError as error:
        raise from_os_error(error, f"reading the token file {path}") from error
    if mode & _WRITABLE_BY_OTHERS:
        raise InvalidOption(
            f"token file {path} has mode {stat.S_IMODE(mode):o}, so others can let themselves in: "
            f"chmod 600 {path}"
        )
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> list[Token]:
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidOption(
            f"{path} is no token file ({error}): name another, or move it away and create the "
            "tokens anew"
        ) from error
    if document.format != FORMAT:
        raise InvalidOption(
            f"{path} is of format {document.format}, this version reads {FORMAT}: use the version "
            "that wrote it"
        )
    return document.tokens


def add_token(path: Path, issued: Issued, *, nested: bool = False) -> None:
    """Keep a new token, in a new file if there is none.

    `InvalidOption` for a name in use, and, unless `nested`, for a key space that lies within
    another token's or around it: tenants that are to be apart would not be.
    """
    with _changing(path) as tokens:
        for other in tokens:
            _require_apart(issued.token, other, nested=nested)
        tokens.append(issued.token)


def _require_apart(token: Token, other: Token, *, nested: bool) -> None:
    if other.revoked_ms:
        return
    if other.name == token.name:
        raise InvalidOption(
            f"token name {token.name!r} is in use by {other.id}: revoke that one, or take another "
            "name"
        )
    mine, theirs = token.key_space, other.key_space
    if nested or not mine or not theirs or mine == theirs:
        return
    if mine.startswith(theirs) or theirs.startswith(mine):
        raise InvalidOption(
            f"key space {mine!r} overlaps that of {other.name!r}, {theirs!r}: take packed tuples, "
            "which never do, or say that one shall lie within the other (--nested)"
        )


def revoke_token(path: Path, which: str, *, now_ms: int) -> Token:
    """Let a token, named by its id or name, in no more; `InvalidOption` where there is none."""
    with _changing(path) as tokens:
        for place, token in enumerate(tokens):
            if not token.revoked_ms and which in {token.id, token.name}:
                tokens[place] = msgspec.structs.replace(token, revoked_ms=now_ms)
                return tokens[place]
        raise InvalidOption(
            f"no token that is in force has the id or name {which!r}: 'fastness token list' shows "
            "them"
        )


@contextmanager
def _changing(path: Path) -> Iterator[list[Token]]:
    """The tokens of a file to change; they are written when the block ends well."""
    if not path.parent.is_dir():
        raise InvalidOption(f"{path.parent} is no directory: create it before {path.name} in it")
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise from_os_error(error, f"opening {path.parent}") from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        tokens = read_tokens(path) if path.exists() else []
        yield tokens
        _write(path, tokens, directory)
    finally:
        os.close(directory)


def _write(path: Path, tokens: list[Token], directory: int) -> None:
    document = _Document(format=FORMAT, tokens=tokens)
    content = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    partial = path.with_name(f"{path.name}.partial-{secrets.token_hex(4)}")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        os.fsync(directory)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise from_os_error(error, f"writing the token file {path}") from error
