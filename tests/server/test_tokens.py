"""Tokens: what is kept of them, the file they are kept in, and what is refused."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

import fastness
from fastness.errors import InvalidOption
from fastness.server.token_file import add_token, read_tokens, revoke_token
from fastness.server.tokens import Issued, issue, parse_credential
from fastness.wire.handshake import Role

NOW_MS = 1_700_000_000_000


def issued(name: str = "billing", role: Role = Role.READ_WRITE, key_space: bytes = b"") -> Issued:
    """A new token."""
    return issue(name=name, role=role, key_space=key_space, now_ms=NOW_MS)


def test_a_credential_proves_its_token_and_no_other() -> None:
    """The secret that was given out fits, any other does not."""
    mine, other = issued(), issued()
    parsed = parse_credential(mine.credential)
    assert parsed is not None
    assert parsed.id == mine.token.id
    assert mine.token.proves(parsed.secret)
    assert not other.token.proves(parsed.secret)
    assert not mine.token.proves(parsed.secret[:-1] + "!")


def test_the_secret_is_not_kept(tmp_path: Path) -> None:
    """Neither the file nor a token's text has what its holder was given."""
    path = tmp_path / "tokens.json"
    mine = issued()
    add_token(path, mine)
    parsed = parse_credential(mine.credential)
    assert parsed is not None
    assert parsed.secret not in path.read_text()
    assert parsed.secret not in repr(mine.token)


@pytest.mark.parametrize(
    "text", ["", "fastness_", "fastness_abc_def", "x" * 100, "fastness_abcdefghijkm_" + "é" * 43]
)
def test_texts_that_are_no_credential(text: str) -> None:
    """What does not have the form of a token is none."""
    assert parse_credential(text) is None


def test_when_a_token_ends() -> None:
    """It ends with its time, or when it is revoked."""
    token = issue(name="a", role=Role.READ_ONLY, now_ms=NOW_MS, expires_ms=NOW_MS + 1).token
    assert token.ended(NOW_MS) == ""
    assert token.ended(NOW_MS + 1) == "expired"


@pytest.mark.parametrize(
    ("name", "role", "key_space", "word"),
    [
        ("", Role.READ_ONLY, b"", "name"),
        ("two words", Role.READ_ONLY, b"", "two words"),
        ("a" * 65, Role.READ_ONLY, b"", "1 to 64"),
        ("a", Role.NODE, b"", "node"),
        ("a", Role.ADMIN, b"x", "admin"),
        ("a", Role.READ_WRITE, b"\xff\x01", "system space"),
        ("a", Role.READ_WRITE, b"x" * 257, "257 bytes"),
    ],
)
def test_what_is_not_issued(name: str, role: Role, key_space: bytes, word: str) -> None:
    """Names, roles and key spaces that will not do are refused with the reason."""
    with pytest.raises(InvalidOption, match=word):
        issued(name, role, key_space)


def test_a_token_must_not_have_ended_already() -> None:
    """An expiry in the past is a mistake."""
    with pytest.raises(InvalidOption, match="before now"):
        issue(name="a", role=Role.READ_ONLY, now_ms=NOW_MS, expires_ms=NOW_MS)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Only the owner reads it, nothing else is left beside it, and it reads back the same."""
    path = tmp_path / "tokens.json"
    first, second = issued("one", key_space=b"a"), issued("two", key_space=b"b")
    add_token(path, first)
    add_token(path, second)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert read_tokens(path) == [first.token, second.token]


def test_revoking(tmp_path: Path) -> None:
    """A token is revoked by name or id, stays listed, and frees its name."""
    path = tmp_path / "tokens.json"
    first = issued("one")
    add_token(path, first)
    assert revoke_token(path, "one", now_ms=NOW_MS + 5).id == first.token.id
    (kept,) = read_tokens(path)
    assert kept.ended(NOW_MS + 5) == "revoked"
    with pytest.raises(InvalidOption, match="no token that is in force"):
        revoke_token(path, "one", now_ms=NOW_MS)
    again = issued("one")
    add_token(path, again)
    revoke_token(path, again.token.id, now_ms=NOW_MS)


def test_names_are_unique(tmp_path: Path) -> None:
    """Two tokens in force never share a name."""
    path = tmp_path / "tokens.json"
    add_token(path, issued("one"))
    with pytest.raises(InvalidOption, match="in use"):
        add_token(path, issued("one"))
    assert len(read_tokens(path)) == 1


def test_key_spaces_are_apart(tmp_path: Path) -> None:
    """A key space within another is refused unless it is meant; the same one twice is fine."""
    path = tmp_path / "tokens.json"
    space = fastness.pack(("billing",))
    add_token(path, issued("one", key_space=space))
    add_token(path, issued("two", key_space=space))
    add_token(path, issued("three", key_space=fastness.pack(("billing2",))))
    for inside in (space + b"x", space[:-1]):
        with pytest.raises(InvalidOption, match="overlaps"):
            add_token(path, issued("four", key_space=inside))
    add_token(path, issued("four", key_space=space + b"x"), nested=True)


def test_commands_at_once_lose_nothing(tmp_path: Path) -> None:
    """Every token that many writers add together is there."""
    path = tmp_path / "tokens.json"
    names = [f"token-{number}" for number in range(8)]
    threads = [
        threading.Thread(target=add_token, args=(path, issued(name, key_space=b"s")))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(token.name for token in read_tokens(path)) == names


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is no token file"),
        (b"[]", "is no token file"),
        (b'{"format": 9, "tokens": []}', "format 9"),
        (b'{"format": 1, "tokens": [{"id": "x"}]}', "is no token file"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, word: str) -> None:
    """A file of another kind is refused, and never overwritten."""
    path = tmp_path / "tokens.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InvalidOption, match=word):
        read_tokens(path)
    with pytest.raises(InvalidOption, match=word):
        add_token(path, issued())
    assert path.read_bytes() == content


def test_files_that_others_may_write(tmp_path: Path) -> None:
    """Whoever can write the file could let themselves in."""
    path = tmp_path / "tokens.json"
    add_token(path, issued())
    path.chmod(0o620)
    with pytest.raises(InvalidOption, match="chmod 600"):
        read_tokens(path)


def test_files_that_are_absent(tmp_path: Path) -> None:
    """The error says how to make one; making one needs its directory."""
    with pytest.raises(InvalidOption, match="fastness token create"):
        read_tokens(tmp_path / "tokens.json")
    with pytest.raises(InvalidOption, match="is no directory"):
        add_token(tmp_path / "absent" / "tokens.json", issued())
