"""URLs of etcd clusters: what they say, what is refused, what is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastness.errors import InvalidOption, InvalidUrl
from fastness.hosting.etcd import is_etcd, parse_etcd_url
from fastness.hosting.etcd.urls import PASSWORD_VARIABLE
from fastness.transport import TcpPlace


def test_everything_a_url_can_say(tmp_path: Path) -> None:
    """Members, ports, prefix, files, credentials."""
    secret = tmp_path / "secret"
    secret.write_text("p&ss\n")
    found = parse_etcd_url(
        f"etcd://one,two:1,[::1]:2/a/b.c-d_e/?ca=/c%26a&cert=/c&key=/k&user=u%20v"
        f"&password_file={secret}&throwaway=on"
    )
    assert found.places == (TcpPlace("one", 2379), TcpPlace("two", 1), TcpPlace("::1", 2))
    assert found.prefix == "a/b.c-d_e"
    assert (found.ca, found.certificate, found.key) == ("/c&a", "/c", "/k")
    assert (found.user, found.password) == ("u v", "p&ss")
    assert found.tls
    assert found.throwaway


def test_the_least_a_url_says() -> None:
    """One host: the usual port and prefix, neither TLS nor a user."""
    for url in ("etcd://one", "etcd://one/"):
        found = parse_etcd_url(url)
        assert found.places == (TcpPlace("one", 2379),)
        assert (found.prefix, found.tls, found.user) == ("fastness", False, "")
        assert found.tls_context() is None
    assert is_etcd("etcd://one")
    assert not is_etcd("postgresql://one")


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the URL, nor by its description, nor by an error."""
    found = parse_etcd_url("etcd://one/p?user=u&password=hush")
    assert found.password == "hush"  # noqa: S105 - that it is not shown is what is tested
    assert "hush" not in found.shown
    assert "hush" not in repr(found)
    with pytest.raises(InvalidUrl) as refused:
        parse_etcd_url("etcd://one/p?user=u&password=hush&color=red")
    assert "hush" not in str(refused.value)
    monkeypatch.setenv(PASSWORD_VARIABLE, "from the environment")
    assert parse_etcd_url("etcd://one/p?user=u").password == "from the environment"  # noqa: S105 - as above


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("etcd:one", "does not begin with"),
        ("etcd://", "names no host"),
        ("etcd:///prefix", "names no host"),
        ("etcd://u:p@one", "a user is an option"),
        ("etcd://one:0", "no HOST:PORT"),
        ("etcd://one:x", "no HOST:PORT"),
        ("etcd://one,", "no HOST:PORT"),
        ("etcd://one,one:2379", "names a member twice"),
        ("etcd://a,b,c,d,e,f,g,h", "names 8 members"),
        ("etcd://one//a", "prefix '/a'"),
        ("etcd://one/a//b", "prefix 'a//b'"),
        ("etcd://one/a b", "prefix 'a b'"),
        ("etcd://one/a#b", "means nothing here"),
        ("etcd://one?color=red", "no option 'color'"),
        ("etcd://one?tls", "has no value"),
        ("etcd://one?tls=", "has no value"),
        ("etcd://one?tls=yes", "neither 'on' nor 'off'"),
        ("etcd://one?tls=on&tls=on", "given twice"),
        ("etcd://one?tls=off&ca=/x", "contradicts ca="),
        ("etcd://one?cert=/x", "belong together"),
        ("etcd://one?password=x", "no user="),
        ("etcd://one?user=u", "has no password"),
        ("etcd://one?user=u&password=a&password_file=/b", "given both"),
        ("etcd://one?user=u&password_file=/nowhere/at/all", "cannot be read"),
        ("etcd://one?user=u%0A&password=x", "line break"),
    ],
)
def test_what_is_wrong_is_shown(monkeypatch: pytest.MonkeyPatch, url: str, reason: str) -> None:
    """With an example of what is right."""
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    with pytest.raises(InvalidUrl, match="write it as in etcd://") as refused:
        parse_etcd_url(url)
    assert reason in str(refused.value)


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """Missing, or no PEM."""
    nothing = tmp_path / "nothing.pem"
    with pytest.raises(InvalidOption, match=r"nothing\.pem"):
        parse_etcd_url(f"etcd://one?ca={nothing}").tls_context()
    nothing.write_text("no certificate")
    with pytest.raises(InvalidOption, match=r"nothing\.pem"):
        parse_etcd_url(f"etcd://one?ca={nothing}").tls_context()
