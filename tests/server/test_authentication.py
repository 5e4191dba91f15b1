"""Who is let in: with tokens, without, and after the token file has changed."""

from __future__ import annotations

import msgspec
import pytest

from fastness.errors import Overloaded, PermissionDenied, Unauthenticated
from fastness.runtime import ManualClock
from fastness.server.access import Access, AccessGrant
from fastness.server.authentication import Authenticator
from fastness.server.tokens import Allowance, Issued, issue
from fastness.transport.grants import Grant, Peer
from fastness.wire.handshake import Role

LOCAL = Peer(host="127.0.0.1", port=1, is_local=True)
REMOTE = Peer(host="192.0.2.1", port=1)


def access_of(grant: Grant) -> Access:
    """The account behind the grant of a token."""
    assert isinstance(grant, AccessGrant)
    assert grant.access is not None
    return grant.access


def issued(
    clock: ManualClock, name: str = "billing", *, lives_ms: int = 0, connections: int = 0
) -> Issued:
    """A new token."""
    now_ms = clock.wall_ms()
    return issue(
        name=name,
        role=Role.READ_WRITE,
        key_space=b"billing/",
        now_ms=now_ms,
        expires_ms=now_ms + lives_ms if lives_ms else 0,
        allowance=Allowance(connections=connections),
    )


def test_without_tokens_this_machine_has_full_access() -> None:
    """A newcomer's first minute: whoever is on the machine may do everything."""
    grant = Authenticator(None, ManualClock()).authenticate("", LOCAL)
    assert (grant.role, grant.prefix) == (Role.ADMIN, b"")


def test_without_tokens_other_machines_have_none() -> None:
    """Unless it was allowed by name."""
    with pytest.raises(PermissionDenied, match=r"192\.0\.2\.1"):
        Authenticator(None, ManualClock()).authenticate("", REMOTE)
    opened = Authenticator(None, ManualClock(), open_to_anyone=True)
    assert opened.authenticate("", REMOTE).role is Role.ADMIN


def test_a_token_grants_what_it_says() -> None:
    """Its role, its key space and its name."""
    clock = ManualClock()
    mine = issued(clock)
    grant = Authenticator([mine.token], clock).authenticate(mine.credential, REMOTE)
    assert (grant.role, grant.prefix, grant.token) == (Role.READ_WRITE, b"billing/", "billing")
    assert access_of(grant).name == "billing"


def test_credentials_that_are_wrong() -> None:
    """No token, no form, a strange id and a wrong secret are refused; none shows a secret."""
    clock = ManualClock()
    mine, other = issued(clock), issued(clock)
    authenticator = Authenticator([mine.token], clock)
    wrong = mine.credential[:-1] + ("a" if mine.credential[-1] != "a" else "b")
    for credential, words in (
        ("", "lets nobody in without a token"),
        ("secret-of-something-else", "the token is none"),
        (other.credential, "is not known here"),
        (wrong, "is not known here"),
    ):
        with pytest.raises(Unauthenticated, match=words) as caught:
            authenticator.authenticate(credential, LOCAL)
        assert credential[22:] == "" or credential[22:] not in str(caught.value)


def test_a_token_expires() -> None:
    """From its moment on it lets nobody in, and those who are in are ended."""
    clock = ManualClock()
    mine = issued(clock, lives_ms=1_000)
    authenticator = Authenticator([mine.token], clock)
    access = access_of(authenticator.authenticate(mine.credential, LOCAL))
    clock.advance(milliseconds=1_000)
    authenticator.look_at_the_clock()
    assert access.ended == "expired"
    with pytest.raises(Unauthenticated, match="is expired"):
        authenticator.authenticate(mine.credential, LOCAL)


def test_a_changed_file_is_taken_up() -> None:
    """Accounts go on, with new limits; what was removed or revoked ends; new tokens come in."""
    clock = ManualClock()
    kept, gone = issued(clock, "kept"), issued(clock, "gone")
    authenticator = Authenticator([kept.token, gone.token], clock)
    access = access_of(authenticator.authenticate(kept.credential, LOCAL))
    other = access_of(authenticator.authenticate(gone.credential, LOCAL))
    new = issued(clock, "new")
    faster = Allowance(operations_per_second=7)
    changed = msgspec.structs.replace(kept.token, allowance=faster)
    authenticator.replace([changed, new.token])
    assert access.allowance.operations_per_second == 7
    assert access.ended == ""
    assert other.ended == "removed"
    assert authenticator.authenticate(new.credential, LOCAL).prefix == b"billing/"
    assert access_of(authenticator.authenticate(kept.credential, LOCAL)) is access
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(gone.credential, LOCAL)


def test_accounts_of_tokens_long_gone_are_forgotten() -> None:
    """A token that was removed is shown as ended until the file changes once more."""
    clock = ManualClock()
    gone = issued(clock, "gone")
    authenticator = Authenticator([gone.token], clock)
    authenticator.replace([])
    assert [one.ended for one in authenticator.accesses] == ["removed"]
    authenticator.replace([])
    assert authenticator.accesses == []


def test_ends_are_news_once() -> None:
    """An account that ends is told of once, for its connections to be ended."""
    clock = ManualClock()
    brief = issued(clock, lives_ms=10)
    authenticator = Authenticator([brief.token], clock)
    assert not authenticator.take_news()
    clock.advance(milliseconds=10)
    authenticator.look_at_the_clock()
    assert authenticator.take_news()
    authenticator.look_at_the_clock()
    assert not authenticator.take_news()


def test_no_more_connections_than_allowed() -> None:
    """Beyond its number a token gets no connection, and is told to come back."""
    clock = ManualClock()
    mine = issued(clock, connections=1)
    open_ones: list[Grant] = []
    authenticator = Authenticator([mine.token], clock, grants=lambda: open_ones)
    open_ones.append(authenticator.authenticate(mine.credential, LOCAL))
    with pytest.raises(Overloaded, match="1 connections are open"):
        authenticator.authenticate(mine.credential, LOCAL)
    open_ones.clear()
    assert access_of(authenticator.authenticate(mine.credential, LOCAL)).name == "billing"
