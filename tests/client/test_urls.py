"""URLs of servers: what they say, what is refused with which words, and what is never shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import fastness
from fastness.client.urls import OPTIONS, TOKEN_VARIABLE, hidden, parse_url
from fastness.errors import FastnessError, InvalidOption, InvalidUrl
from fastness.limits import Limits
from fastness.runtime import ManualClock
from fastness.transport import TcpPlace, UnixPlace

SECRET = "s3cr3t-t0ken"  # noqa: S105 - of nothing


@pytest.fixture(autouse=True)
def no_token_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's environment says has no part in these tests."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def test_places() -> None:
    """One or several hosts, with the usual port where none is given; a path of a socket."""
    one = parse_url("fastness://db.example.org:4000")
    assert one.places == (TcpPlace("db.example.org", 4000),)
    assert (one.cache, one.token, one.tls, one.limits) == (False, "", False, ())
    several = parse_url("fastness://10.0.0.1,[::1]:99,[::1],localhost:1/")
    assert several.places == (
        TcpPlace("10.0.0.1", 3278),
        TcpPlace("::1", 99),
        TcpPlace("::1", 3278),
        TcpPlace("localhost", 1),
    )
    assert parse_url("fastness+unix:///run/my%20db.sock").places == (UnixPlace("/run/my db.sock"),)


def test_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache, TLS, times, and a token from the URL, a file or the environment."""
    url = parse_url("fastness://h/?cache=on&token=a%26b&tls=on&operation_ms=5&commit_ms=7")
    assert (url.cache, url.token, url.tls) == (True, "a&b", True)
    limits = replace(Limits(), key_bytes=9)
    assert url.limits_over(limits) == replace(limits, operation_ms=5, commit_ms=7)
    secured = parse_url("fastness://h/?ca=/etc/ca.pem&cert=c.pem&key=k.pem&cache=off")
    assert (secured.tls, secured.ca, secured.certificate, secured.key) == (
        True,
        "/etc/ca.pem",
        "c.pem",
        "k.pem",
    )
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n", "utf-8")
    assert parse_url(f"fastness://h/?token_file={file}").token == SECRET
    monkeypatch.setenv(TOKEN_VARIABLE, SECRET[::-1])
    assert parse_url("fastness://h").token == SECRET[::-1]
    assert parse_url(f"fastness://h/?token={SECRET}").token == SECRET


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("fastness:db", "no '//'"),
        ("fastness://", "names no host"),
        ("fastness://h:port", "'h:port'"),
        ("fastness://h:0", "'h:0'"),
        ("fastness://h:70000", "'h:70000'"),
        ("fastness://h,,k", "''"),
        ("fastness://h/other", "'/other'"),
        ("fastness://h#part", "'#part'"),
        ("fastness://h?cache=maybe", "cache='maybe'"),
        ("fastness://h?cache", "'cache' has no value"),
        ("fastness://h?colour=red", "'colour'"),
        ("fastness://h?cache=on&cache=on", "twice"),
        ("fastness://h?operation_ms=-1", "operation_ms='-1'"),
        ("fastness://h?operation_ms=0", "operation_ms='0'"),
        ("fastness://h?tls=off&ca=x", "tls=off contradicts ca="),
        ("fastness://h?cert=x", "cert= and key= belong together"),
        ("fastness://h?token=a&token_file=b", "given both"),
        ("fastness://h?token_file=/no/such/file", "token_file='/no/such/file'"),
        ("fastness+unix://relative", "no absolute path"),
        ("fastness+unix:///s?tls=on", "Unix socket"),
        ("fastness+unix:///" + "s" * 200, "s" * 200),
    ],
)
def test_what_is_wrong_is_shown(url: str, said: str) -> None:
    """The part that is wrong, and an example of how to write it."""
    with pytest.raises(InvalidUrl) as refused:
        fastness.open(url)
    assert said in str(refused.value)
    assert "write it as in fastness" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        f"fastness://h?cache=maybe&token={SECRET}",
        f"fastness://h?token={SECRET}&cache=maybe",
        f"fastness://me:{SECRET}@h/",
        f"fastness://h:port?token={SECRET}",
        f"fastness+unix://x?token={SECRET}",
        f"fastness://h#?token={SECRET}",
        f"fastness:h?token={SECRET}",
        f"nothing://h?token={SECRET}",
        f"nothing://me:{SECRET}@h",
    ],
)
def test_no_error_shows_a_token(url: str) -> None:
    """Neither of the URL, nor of what a user mistook for one."""
    with pytest.raises(FastnessError) as refused:
        fastness.open(url)
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(refused.value)


def test_nothing_shows_a_token() -> None:
    """What is kept of a URL can be printed."""
    url = f"fastness://h:1/?token={SECRET}&cache=on"
    assert SECRET not in repr(parse_url(url))
    assert parse_url(url).shown == hidden(url) == "fastness://h:1/?token=...&cache=on"


def test_what_only_an_engine_here_can_choose() -> None:
    """Durability and clocks are the server's."""
    with pytest.raises(InvalidOption, match="durability='relaxed'"):
        fastness.open("fastness://h", durability="relaxed")
    with pytest.raises(InvalidOption, match="clock="):
        fastness.open("fastness://h", clock=ManualClock())


def test_the_page_lists_every_option() -> None:
    """What can be asked for is described where users look."""
    page = (Path(__file__).parents[2] / "docs" / "CLIENTS.md").read_text("utf-8")
    table = page[page.index("## Options") : page.index("## Threads")]
    for name in OPTIONS:
        assert f"`{name}" in table, f"docs/CLIENTS.md does not describe the option {name}"
