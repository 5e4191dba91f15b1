"""URLs of an etcd cluster: where its members are, under which prefix, with what credentials.

::

    etcd://HOST:PORT[,HOST:PORT...][/PREFIX][?OPTION=VALUE&...]

    tls=on|off              TLS; on by itself where a file is named
    ca=FILE                 whom to trust, instead of the system's CAs
    cert=FILE, key=FILE     who we are, where members ask for client certificates
    user=NAME               for a cluster with authentication
    password=TEXT           ...its password; or
    password_file=FILE      ...a file that holds it; or the variable FASTNESS_ETCD_PASSWORD
    throwaway=on            take etcd 3.5.0 to 3.5.5 too, which a crash can make lose writes

Name every member: whichever answers serves. A password is never shown: `EtcdUrl.shown`, and every
error, says `password=...`.
"""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from fastness.errors import InvalidOption, InvalidUrl
from fastness.transport import TcpPlace, place_of

SCHEME = "etcd://"
DEFAULT_PORT = 2379
DEFAULT_PREFIX = "fastness"
PASSWORD_VARIABLE = "FASTNESS_ETCD_PASSWORD"  # noqa: S105 - the name of a variable
PASSWORD_BYTES_MAX = 4096
MEMBERS_MAX = 7
"""etcd's own advice is not to run more."""
EXAMPLE = "etcd://etcd1:2379,etcd2:2379,etcd3:2379/fastness?ca=/etc/fastness/ca.pem"

_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_SWITCHES = ("tls", "throwaway")
_TEXTS = ("ca", "cert", "key", "user", "password", "password_file")


@dataclass(frozen=True, slots=True)
class EtcdUrl:
    """What a URL says. Nothing of it but `shown` is for anybody's eyes."""

    places: tuple[TcpPlace, ...]
    prefix: str = DEFAULT_PREFIX
    """Without a slash at either end."""
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    throwaway: bool = False
    shown: str = ""
    """The URL, without its password."""

    def tls_context(self) -> ssl.SSLContext | None:
        """How to speak to members, `None` for plain TCP; `InvalidOption` for unusable files."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            named = ", ".join(one for one in (self.ca, self.certificate, self.key) if one)
            raise InvalidOption(
                f"TLS for {self.shown} cannot be set up from {named} ({error}): name files in PEM "
                "that this process may read, the key matching the certificate"
            ) from error
        return context


def is_etcd(url: str) -> bool:
    """Whether a URL names an etcd cluster."""
    return url.startswith("etcd:")


def hidden(url: str) -> str:
    """A URL as it may be shown: without a password, and without what stands before an @."""
    without_password = re.sub(r"([?&]password=)[^&#]*", r"\1...", url)
    return re.sub(r"^([a-z+]*://)[^/?]*@", r"\1...@", without_password)


def parse_etcd_url(url: str) -> EtcdUrl:
    """What a URL says; `InvalidUrl` shows the part that is wrong, and an example."""
    if not url.startswith(SCHEME):
        _refuse(url, f"it does not begin with {SCHEME!r}")
    if "#" in url:
        _refuse(url, "'#' means nothing here")
    where, _question, query = url[len(SCHEME) :].partition("?")
    hosts, slash, prefix = where.partition("/")
    given = _options(url, query)
    secured = [name for name in ("ca", "cert", "key") if name in given]
    if given.get("tls") == "off" and secured:
        _refuse(url, f"tls=off contradicts {secured[0]}=")
    if ("key" in given) != ("cert" in given):
        _refuse(url, "cert= and key= belong together")
    return EtcdUrl(
        places=_places(url, hosts),
        prefix=_prefix(url, unquote(prefix)) if slash and prefix else DEFAULT_PREFIX,
        tls=given.get("tls") == "on" or bool(secured),
        ca=given.get("ca", ""),
        certificate=given.get("cert", ""),
        key=given.get("key", ""),
        user=given.get("user", ""),
        password=_password(url, given),
        throwaway=given.get("throwaway") == "on",
        shown=hidden(url),
    )


def _refuse(url: str, what: str) -> NoReturn:
    raise InvalidUrl(f"{hidden(url)!r}: {what}; write it as in {EXAMPLE}") from None


def _places(url: str, hosts: str) -> tuple[TcpPlace, ...]:
    if "@" in hosts:
        _refuse(url, "a user is an option (?user=NAME&password_file=FILE)")
    if not hosts:
        _refuse(url, "it names no host")
    places = tuple(_place(url, one) for one in hosts.split(","))
    if len(set(places)) != len(places):
        _refuse(url, "it names a member twice")
    if len(places) > MEMBERS_MAX:
        _refuse(url, f"it names {len(places)} members, more than {MEMBERS_MAX}")
    return places


def _place(url: str, text: str) -> TcpPlace:
    bare = text.startswith("[") and text.endswith("]")
    if text and (bare or ":" not in text):
        text = f"{text}:{DEFAULT_PORT}"
    try:
        place = place_of(text)
    except InvalidOption as error:
        _refuse(url, f"{text!r} is no HOST:PORT ({error})")
    if not isinstance(place, TcpPlace) or place.port == 0:
        _refuse(url, f"{text!r} is no HOST:PORT")
    return place


def _prefix(url: str, text: str) -> str:
    prefix = text.removesuffix("/")
    if not _PREFIX.fullmatch(prefix):
        _refuse(
            url, f"prefix {text!r} is not made of letters, digits, '_', '.', '-' and single '/'"
        )
    return prefix


def _options(url: str, query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        value = unquote(value)
        if name not in _SWITCHES and name not in _TEXTS:
            known = ", ".join((*_SWITCHES, *_TEXTS))
            _refuse(url, f"there is no option {unquote(name)!r}; those known are {known}")
        if not equals or not value:
            _refuse(url, f"option {name!r} has no value")
        if name in given:
            _refuse(url, f"option {name!r} is given twice")
        if name in _SWITCHES and value not in ("on", "off"):
            _refuse(url, f"{name}={value!r} is neither 'on' nor 'off'")
        if "\0" in value or "\n" in value or len(value) > PASSWORD_BYTES_MAX:
            _refuse(url, f"the value of {name!r} has a line break or is too long")
        given[name] = value
    return given


def _password(url: str, given: dict[str, str]) -> str:
    """The password: of the URL, of the file it names, or of the environment."""
    if "user" not in given:
        for name in ("password", "password_file"):
            if name in given:
                _refuse(url, f"{name}= has no user= that it belongs to")
        return ""
    if "password" in given and "password_file" in given:
        _refuse(url, "password= and password_file= are given both")
    if "password_file" in given:
        return _password_in(url, Path(given["password_file"]))
    password = given.get("password", os.environ.get(PASSWORD_VARIABLE, ""))
    if not password:
        _refuse(
            url,
            f"user={given['user']!r} has no password: give password_file=FILE, or set "
            f"{PASSWORD_VARIABLE}",
        )
    return password


def _password_in(url: str, path: Path) -> str:
    try:
        password = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        _refuse(url, f"password_file={str(path)!r} cannot be read ({reason})")
    if not password or len(password) > PASSWORD_BYTES_MAX or "\n" in password:
        _refuse(url, f"password_file={str(path)!r} does not hold one password on one line")
    return password
