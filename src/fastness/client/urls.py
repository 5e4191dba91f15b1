"""URLs of databases behind a server: where it is, and with what options.

::

    fastness://HOST:PORT[,HOST:PORT...][/][?OPTION=VALUE&...]
    fastness+unix:///PATH/OF/SOCKET[?OPTION=VALUE&...]

Several places are several doors to the same database: whichever answers serves. A URL may hold a
token, so it is never shown as it is: `RemoteUrl.shown`, and every error, says `token=...`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from fastness.errors import InvalidOption, InvalidUrl
from fastness.limits import Limits
from fastness.transport import Place, TcpPlace, UnixPlace, place_of

TCP_SCHEME = "fastness://"
UNIX_SCHEME = "fastness+unix://"
DEFAULT_PORT = 3278
TOKEN_VARIABLE = "FASTNESS_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_BYTES_MAX = 4096

EXAMPLE = "fastness://db1.example.org:3278,db2.example.org:3278/?cache=on"

SWITCHES = ("cache", "tls")
TEXTS = ("token", "token_file", "ca", "cert", "key")
LIMIT_OPTIONS = ("call_ms", "operation_ms", "commit_ms", "retry_ms", "handshake_ms", "cache_bytes")
"""Options that are limits of the client, by the same names."""

OPTIONS = (*SWITCHES, *TEXTS, *LIMIT_OPTIONS)


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """What a URL says. Nothing of it but `shown` is for anybody's eyes."""

    places: tuple[Place, ...]
    cache: bool = False
    token: str = field(default="", repr=False)
    tls: bool = False
    ca: str = ""
    """The file of the CAs to trust, empty for those of the system."""
    certificate: str = ""
    key: str = field(default="", repr=False)
    limits: tuple[tuple[str, int], ...] = ()
    shown: str = ""
    """The URL, without its secrets."""

    def limits_over(self, limits: Limits) -> Limits:
        """These limits, with those the URL names."""
        named = dict(self.limits)
        kept = {one.name: getattr(limits, one.name) for one in fields(Limits)}
        return Limits(**(kept | named)) if named else limits


def is_remote(url: str) -> bool:
    """Whether a URL names a server."""
    return url.startswith(("fastness:", "fastness+unix:"))


def hidden(url: str) -> str:
    """A URL as it may be shown: without a token, and without what stands before an @."""
    without_token = re.sub(r"([?&]token=)[^&#]*", r"\1...", url)
    return re.sub(r"^([a-z+]*://)[^/?]*@", r"\1...@", without_token)


def parse_url(url: str) -> RemoteUrl:
    """What a URL says; `InvalidUrl` shows the part that is wrong, and an example."""
    if url.startswith(TCP_SCHEME):
        rest, example = url[len(TCP_SCHEME) :], EXAMPLE
    elif url.startswith(UNIX_SCHEME):
        rest, example = url[len(UNIX_SCHEME) :], "fastness+unix:///run/fastness.sock?cache=on"
    else:
        _refuse(url, "it has no '//' after 'fastness:'", EXAMPLE)
    if "#" in rest:
        _refuse(url, f"'{hidden(rest[rest.index('#') :])}' after '#' means nothing here", example)
    where, _question, query = rest.partition("?")
    if url.startswith(TCP_SCHEME):
        places: tuple[Place, ...] = _tcp_places(url, where)
    else:
        places = (_unix_place(url, where, example),)
    options = _Options(url, example)
    for pair in query.split("&") if query else ():
        options.take(pair)
    return options.over(places)


def _refuse(url: str, what: str, example: str) -> NoReturn:
    raise InvalidUrl(f"{hidden(url)!r}: {what}; write it as in {example}") from None


def _tcp_places(url: str, where: str) -> tuple[Place, ...]:
    hosts, slash, path = where.partition("/")
    if "@" in hosts:
        _refuse(url, "there are no users; a token is an option (?token=...)", EXAMPLE)
    if slash and path:
        _refuse(url, f"'/{path}' names nothing: a server has one database", EXAMPLE)
    if not hosts:
        _refuse(url, "it names no host", EXAMPLE)
    return tuple(_tcp_place(url, one) for one in hosts.split(","))


def _tcp_place(url: str, text: str) -> Place:
    bare = text.startswith("[") and text.endswith("]")
    if text and (bare or ":" not in text):
        text = f"{text}:{DEFAULT_PORT}"
    try:
        place = place_of(text)
    except InvalidOption as error:
        _refuse(url, f"{text!r} is no HOST:PORT ({error})", EXAMPLE)
    if not isinstance(place, TcpPlace) or place.port == 0:
        _refuse(url, f"{text!r} is no HOST:PORT", EXAMPLE)
    return place


def _unix_place(url: str, where: str, example: str) -> Place:
    path = unquote(where)
    if not path.startswith("/"):
        _refuse(url, f"{path!r} is no absolute path of a socket", example)
    try:
        place = place_of(f"unix:{path}")
    except InvalidOption as error:
        _refuse(url, str(error), example)
    if not isinstance(place, UnixPlace):
        _refuse(url, f"{path!r} is no path of a socket", example)
    return place


class _Options:
    """The options of one URL as they are read."""

    def __init__(self, url: str, example: str) -> None:
        self._url = url
        self._example = example
        self._given: dict[str, str] = {}
        self._readers: dict[str, Callable[[str, str], object]] = {
            **dict.fromkeys(SWITCHES, self._switch),
            **dict.fromkeys(TEXTS, self._text),
            **dict.fromkeys(LIMIT_OPTIONS, self._number),
        }

    def take(self, pair: str) -> None:
        """One `name=value`."""
        name, equals, value = pair.partition("=")
        reader = self._readers.get(name)
        if reader is None:
            known = ", ".join(self._readers)
            self._refuse(f"there is no option {unquote(name)!r}; those known are {known}")
        if not equals or not value:
            self._refuse(f"option {name!r} has no value")
        if name in self._given:
            self._refuse(f"option {name!r} is given twice")
        self._given[name] = unquote(value)
        reader(name, self._given[name])

    def _refuse(self, what: str) -> NoReturn:
        _refuse(self._url, what, self._example)

    def _switch(self, name: str, value: str) -> None:
        if value not in ("on", "off"):
            self._refuse(f"{name}={value!r} is neither 'on' nor 'off'")

    def _number(self, name: str, value: str) -> None:
        if not value.isascii() or not value.isdecimal() or int(value) == 0:
            self._refuse(f"{name}={value!r} is not a positive whole number")

    def _text(self, name: str, value: str) -> None:
        if "\0" in value or "\n" in value or len(value) > TOKEN_BYTES_MAX:
            self._refuse(f"the value of {name!r} has a line break or is too long")

    def over(self, places: tuple[Place, ...]) -> RemoteUrl:
        """All of it together."""
        given = self._given
        secured = [name for name in ("ca", "cert", "key") if name in given]
        if given.get("tls") == "off" and secured:
            self._refuse(f"tls=off contradicts {secured[0]}=")
        if ("key" in given) != ("cert" in given):
            self._refuse("cert= and key= belong together")
        tls = given.get("tls") == "on" or bool(secured)
        if tls and isinstance(places[0], UnixPlace):
            self._refuse("a Unix socket needs no TLS")
        return RemoteUrl(
            places=places,
            cache=given.get("cache") == "on",
            token=self._token(),
            tls=tls,
            ca=given.get("ca", ""),
            certificate=given.get("cert", ""),
            key=given.get("key", ""),
            limits=tuple((name, int(given[name])) for name in LIMIT_OPTIONS if name in given),
            shown=hidden(self._url),
        )

    def _token(self) -> str:
        """The token: of the URL, of the file it names, or of the environment."""
        if "token" in self._given and "token_file" in self._given:
            self._refuse("token= and token_file= are given both")
        if "token_file" not in self._given:
            return self._given.get("token", os.environ.get(TOKEN_VARIABLE, ""))
        path = Path(self._given["token_file"])
        try:
            token = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            self._refuse(f"token_file={str(path)!r} cannot be read ({reason})")
        if not token or len(token) > TOKEN_BYTES_MAX or "\n" in token:
            self._refuse(f"token_file={str(path)!r} does not hold one token on one line")
        return token


__all__ = ["DEFAULT_PORT", "OPTIONS", "RemoteUrl", "hidden", "is_remote", "parse_url"]
