"""What a server can be told: the one schema of its configuration.

Every setting has a name with dots (`log.slow_ms`), which is its place in the TOML file, a name in
the environment (`FASTNESS_LOG_SLOW_MS`), a type, a default and a line that says what it is for.
`sources.py` fills it in and remembers where each value came from; nothing here reads anything.

Times are milliseconds, sizes bytes; units come last in a name, as in `limits.Limits`, all of
which is the table `limits`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta
from msgspec.structs import fields as struct_fields

from fastness.limits import Limits

DEFAULT_PORT = 3278
"""FAST on a telephone's keys."""
ADMIN_PORT = 3279
GATEWAY_PORT = 3280
"""What documents and examples use: it is given by whoever wants a gateway."""

RELOADED = {"reloaded": True}
"""A setting that SIGHUP takes up."""
SECRET = {"secret": True}
"""A setting whose value is never shown."""
SPACED = {"separator": None}
"""A list whose values hold commas: in the environment blanks part them."""

_TRUE_AND_FALSE = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

Positive = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The table `tls`."""

    certificate: Annotated[
        str,
        Meta(
            description="PEM file of the server's certificate and its chain; empty: no TLS",
            extra=RELOADED,
        ),
    ] = ""
    key: Annotated[
        str, Meta(description="PEM file of the certificate's private key", extra=RELOADED)
    ] = ""
    key_password: Annotated[
        str,
        Meta(description="what the private key is encrypted with", extra={**RELOADED, **SECRET}),
    ] = ""
    ca: Annotated[
        str,
        Meta(
            description="PEM file of the CAs that a node trusts when it dials others of its "
            "cluster; empty: those of the system"
        ),
    ] = ""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The table `log`."""

    format: Annotated[
        Literal["auto", "human", "json"],
        Meta(description="`auto`: `human` on a terminal, else `json`, one object per line"),
    ] = "auto"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="the least grave that is logged", extra=RELOADED),
    ] = "info"
    slow_ms: Annotated[
        Natural,
        Meta(description="requests that take so long are logged, 0: none", extra=RELOADED),
    ] = 1_000


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The table `tracing`."""

    export: Annotated[
        bool,
        Meta(
            description="send a span for each request of a client that traces to the collector "
            "that `OTEL_EXPORTER_OTLP_ENDPOINT` names; needs the extra `otel`"
        ),
    ] = False


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything; see the module's page."""

    directory: Annotated[
        str, Meta(description="where the database is, created if absent; `memory:`: nowhere")
    ] = "./data"
    coordinator: Annotated[
        str,
        Meta(
            description="etcd://HOST:PORT,.../PREFIX of a cluster: be a node of it, without a "
            "directory",
            extra=SECRET,
        ),
    ] = ""
    stores: Annotated[
        tuple[str, ...],
        Meta(
            description="NAME=postgresql://... to reach a store of the cluster otherwise than it "
            "is registered; in the environment parted by blanks",
            extra={**SECRET, **SPACED},
        ),
    ] = ()
    name: Annotated[
        str,
        Meta(description="the node's name in its cluster, which no other living node has"),
    ] = ""
    advertise: Annotated[
        str,
        Meta(
            description="HOST[:PORT] where clients and the other nodes reach this one; empty: "
            "the first of `listen`"
        ),
    ] = ""
    listen: Annotated[
        tuple[str, ...],
        Meta(description="HOST:PORT for clients over TCP; port 0 takes any that is free"),
    ] = (f"127.0.0.1:{DEFAULT_PORT}",)
    unix: Annotated[
        str, Meta(description="path of a Unix socket for clients on this machine; empty: none")
    ] = ""
    admin: Annotated[
        str, Meta(description="HOST:PORT of health, metrics and status over HTTP; empty: none")
    ] = f"127.0.0.1:{ADMIN_PORT}"
    gateway: Annotated[
        str,
        Meta(
            description="HOST:PORT of the HTTP/JSON gateway, for languages without a client; "
            "empty: none"
        ),
    ] = ""
    tokens: Annotated[
        str,
        Meta(
            description="the token file; empty: none, and full access for whoever connects",
            extra=RELOADED,
        ),
    ] = ""
    open_to_anyone: Annotated[
        bool,
        Meta(description="listen beyond this machine although there is no token file"),
    ] = False
    drain_ms: Annotated[
        Positive,
        Meta(description="how long SIGTERM waits for requests under way", extra=RELOADED),
    ] = 10_000
    tls: TlsSettings = TlsSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    limits: Limits = Limits()


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: what `Settings` says of it, under its whole name."""

    name: str
    type: Any
    default: object
    description: str = ""
    is_reloaded: bool = False
    is_secret: bool = False
    separator: str | None = ","
    """What parts the values of a list in the environment; `None`: blanks."""

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "FASTNESS_" + self.name.replace(".", "_").upper()

    @property
    def choices(self) -> str:
        """The words it may be, where it is one of a few."""
        kind = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        return ", ".join(get_args(kind)) if get_origin(kind) is Literal else ""

    def read(self, text: str) -> object:
        """A text as the setting's kind of value; as it is where it cannot be one."""
        if isinstance(self.default, tuple):
            return [one.strip() for one in text.split(self.separator) if one.strip()]
        if isinstance(self.default, bool):
            return _TRUE_AND_FALSE.get(text.strip().lower(), text)
        if isinstance(self.default, int):
            try:
                return int(text)
            except ValueError:
                return text
        return text


def _of_struct(kind: type[msgspec.Struct], table: str) -> Iterator[Setting]:
    for field in struct_fields(kind):
        if isinstance(field.default, Limits):
            yield from _of_limits(f"{field.name}.")
        elif isinstance(field.default, msgspec.Struct):
            yield from _of_struct(type(field.default), f"{field.name}.")
        else:
            yield _setting(f"{table}{field.name}", field.type, field.default)


def _setting(name: str, kind: Any, default: object) -> Setting:  # noqa: ANN401 - any type
    meta = next(one for one in kind.__metadata__ if isinstance(one, Meta) and one.description)
    extra = meta.extra or {}
    return Setting(
        name=name,
        type=kind,
        default=default,
        description=meta.description or "",
        is_reloaded=bool(extra.get("reloaded")),
        is_secret=bool(extra.get("secret")),
        separator=extra.get("separator", ","),
    )


def _of_limits(table: str) -> Iterator[Setting]:
    hints = get_type_hints(Limits)
    for name, default in asdict(Limits()).items():
        kind = Positive if hints[name] is int else hints[name]
        yield Setting(name=f"{table}{name}", type=kind, default=default)


SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _of_struct(Settings, "")}
"""Every setting by its name, in the order of the schema."""


def settings_of(values: dict[str, Any]) -> Settings:
    """The settings that these values, by name, make with the defaults for the rest."""
    tables: dict[str, dict[str, Any]] = {
        name: {} for name in ("", "tls", "log", "tracing", "limits")
    }
    for name, value in values.items():
        table, _, key = name.rpartition(".")
        tables[table][key] = value
    return Settings(
        **tables[""],
        tls=TlsSettings(**tables["tls"]),
        log=LogSettings(**tables["log"]),
        tracing=TracingSettings(**tables["tracing"]),
        limits=Limits(**tables["limits"]),
    )
