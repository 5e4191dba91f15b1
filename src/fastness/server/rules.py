"""What must hold between settings: each rule yields a line for everything that breaks it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping

from fastness.errors import InvalidOption
from fastness.placement.membership import require_name
from fastness.server.naming import advertised, own_stores
from fastness.server.settings import Settings
from fastness.transport.addresses import UNIX_PREFIX, Place, TcpPlace, place_of

Sources = Mapping[str, str]
"""Where each setting came from, by its name."""


def broken_rules(settings: Settings, sources: Sources) -> Iterator[str]:
    """A line for each rule that these settings break."""
    for rule in _RULES:
        yield from rule(settings, sources)


def is_local(place: Place) -> bool:
    """Whether only this machine reaches a place."""
    if not isinstance(place, TcpPlace) or place.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(place.host).is_loopback
    except ValueError:
        return False  # A name: it may lead anywhere.


def _addresses(settings: Settings, sources: Sources) -> Iterator[str]:
    named = [("listen", text) for text in settings.listen]
    named += [(name, text) for name, text in _single(settings) if text]
    for name, text in named:
        try:
            place_of(text)
        except InvalidOption as error:
            yield f"{sources[name]}: {name}: {error}"


def _single(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "admin", settings.admin
    yield "gateway", settings.gateway
    yield "unix", settings.unix and UNIX_PREFIX + settings.unix


def _somewhere(settings: Settings, sources: Sources) -> Iterator[str]:
    if not settings.listen and not settings.unix:
        source = sources["listen"]
        yield f"{source}: listen=[] and unix='' leave no way in: give one of them a value"


def _directory(settings: Settings, sources: Sources) -> Iterator[str]:
    if not settings.directory:
        yield f"{sources['directory']}: directory='' names no place: name a directory"


def _tls(settings: Settings, sources: Sources) -> Iterator[str]:
    tls = settings.tls
    if tls.certificate and not tls.key:
        yield (
            f"{sources['tls.certificate']}: tls.certificate={tls.certificate!r} without tls.key: "
            "name the PEM file of its private key"
        )
    if tls.key and not tls.certificate:
        yield (
            f"{sources['tls.key']}: tls.key={tls.key!r} without tls.certificate: name the PEM "
            "file of the certificate"
        )


def _strangers(settings: Settings, sources: Sources) -> Iterator[str]:
    """Whoever reaches a server without tokens may do everything: only this machine may."""
    if settings.tokens or settings.open_to_anyone:
        return
    reached = [("listen", text) for text in settings.listen]
    reached += [("gateway", settings.gateway)] if settings.gateway else []
    for name, text in reached:
        try:
            place = place_of(text)
        except InvalidOption:
            continue  # Told by its own rule.
        if not is_local(place):
            yield (
                f"{sources[name]}: {name}={text!r} is reached from other machines, and there "
                "is no token file, so anybody would have full access: create a token ('fastness "
                "token create') and name its file (--tokens), or allow it by name "
                "(--open-to-anyone)"
            )


def _cluster(settings: Settings, sources: Sources) -> Iterator[str]:
    """A node of a cluster has no directory, and only such a node has the rest."""
    if settings.coordinator:
        if sources["directory"] != "default":
            yield (
                f"{sources['directory']}: directory={settings.directory!r} and a coordinator: a "
                "node of a cluster keeps nothing here, so leave one of the two out"
            )
        return
    for name in ("stores", "name", "advertise"):
        value = getattr(settings, name)
        if value:
            shown = "" if name == "stores" else f"={value!r}"
            yield (
                f"{sources[name]}: {name}{shown} is for a node of a cluster: name its coordinator "
                "too (--coordinator etcd://HOST:PORT/PREFIX)"
            )


def _named(settings: Settings, sources: Sources) -> Iterator[str]:
    """What cluster nodes and stores are called, and where they are."""
    try:
        if settings.name:
            require_name(settings.name, "node")
    except InvalidOption as error:
        yield f"{sources['name']}: {error}"
    try:
        own_stores(settings.stores)
    except InvalidOption as error:
        yield f"{sources['stores']}: {error}"
    try:
        advertised(settings.advertise, TcpPlace("localhost", 1))
    except InvalidOption as error:
        yield f"{sources['advertise']}: advertise: {error}"


_RULES: tuple[Callable[[Settings, Sources], Iterator[str]], ...] = (
    _addresses,
    _cluster,
    _named,
    _somewhere,
    _directory,
    _tls,
    _strangers,
)
