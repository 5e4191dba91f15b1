"""The command `serve`: a server in this process, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

import fastness
from fastness.cli import exits
from fastness.cli.arguments import JsonOption
from fastness.cli.output import Output, answering
from fastness.errors import InvalidOption
from fastness.server.announcing import Announcement
from fastness.server.logs import logging_to_stderr
from fastness.server.program import Program
from fastness.server.settings import SETTINGS
from fastness.server.sources import load, meant_by

OURS = "What it serves, and where"
CLUSTER = "As a node of a cluster"
THEIRS = "Who may come in"
RUNNING = "How it runs"


DirectoryArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[DIRECTORY]",
        help="The database's directory, created if absent (./data); 'memory:' for none.",
        show_default=False,
    ),
]
CoordinatorOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Be a node of the cluster at etcd://HOST:PORT,.../PREFIX, without a directory.",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
StoreOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=URL",
        help="Reach a store of the cluster by this postgresql:// URL, not the one registered.",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The node's name, which no other living node of the cluster has.",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
AdvertiseOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST[:PORT]",
        help="Where clients and other nodes reach this one; else where it listens first.",
        show_default=False,
        rich_help_panel=CLUSTER,
    ),
]
ListenOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Take clients here (127.0.0.1:3278); may be repeated, port 0 is any free one.",
        show_default=False,
        rich_help_panel=OURS,
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65_535,
        help="Short for --listen 127.0.0.1:PORT.",
        show_default=False,
        rich_help_panel=OURS,
    ),
]
UnixOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Take clients at this Unix socket too.",
        show_default=False,
        rich_help_panel=OURS,
    ),
]
AdminOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Health, metrics and status over HTTP (127.0.0.1:3279); '' for none.",
        show_default=False,
        rich_help_panel=OURS,
    ),
]
GatewayOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Serve HTTP and JSON there too, for languages without a client; none by default.",
        show_default=False,
        rich_help_panel=OURS,
    ),
]
TokensOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Let in only who has a token of this file ('fastness token create').",
        show_default=False,
        rich_help_panel=THEIRS,
    ),
]
CertificateOption = Annotated[
    str | None,
    typer.Option(
        "--tls-certificate",
        "--tls-cert",
        metavar="FILE",
        help="Speak TLS with this certificate and its chain (PEM).",
        show_default=False,
        rich_help_panel=THEIRS,
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="The certificate's private key (PEM).",
        show_default=False,
        rich_help_panel=THEIRS,
    ),
]
OpenOption = Annotated[
    bool,
    typer.Option(
        "--open-to-anyone",
        help="Listen beyond this machine without tokens: whoever comes may do everything.",
        rich_help_panel=THEIRS,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Settings (TOML); the environment (FASTNESS_*) and flags win over it.",
        show_default=False,
        rich_help_panel=RUNNING,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting, such as log.slow_ms=100 ('fastness config show' lists all).",
        show_default=False,
        rich_help_panel=RUNNING,
    ),
]


def serve(  # noqa: PLR0913 - one for each thing a server is often told
    directory: DirectoryArgument = None,
    *,
    coordinator: CoordinatorOption = None,
    store: StoreOption = None,
    name: NameOption = None,
    advertise: AdvertiseOption = None,
    listen: ListenOption = None,
    port: PortOption = None,
    unix: UnixOption = None,
    admin: AdminOption = None,
    gateway: GatewayOption = None,
    tokens: TokensOption = None,
    tls_certificate: CertificateOption = None,
    tls_key: KeyOption = None,
    open_to_anyone: OpenOption = False,
    config: ConfigOption = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Serve a database to many processes, or be a node of a cluster, until SIGTERM or Ctrl-C.

    Prints where it listens once it is ready; logs go to stderr. SIGTERM lets requests under
    way end first, a second one does not; SIGHUP takes up changed tokens, certificates and
    settings.
    """
    with answering(json) as output:
        flags: dict[str, object] = given(settings or [])
        named = {
            "directory": directory,
            "coordinator": coordinator,
            "stores": store or None,
            "name": name,
            "advertise": advertise,
            "listen": listen or ([f"127.0.0.1:{port}"] if port is not None else None),
            "unix": unix,
            "admin": admin,
            "gateway": gateway,
            "tokens": tokens,
            "tls.certificate": tls_certificate,
            "tls.key": tls_key,
            "open_to_anyone": open_to_anyone or None,
        }
        flags |= {name: value for name, value in named.items() if value is not None}
        read = partial(load, config, os.environ, flags)
        configuration = read()
        log = configuration.settings.log
        program_of = partial(Program, configuration, read)
        with (
            logging_to_stderr(log.format, log.level),
            asyncio.Runner(loop_factory=_loop_factory()) as runner,
        ):
            drained = runner.run(_run(program_of, output))
        if not drained:
            raise typer.Exit(exits.TERMINATED)


async def _run(program_of: Callable[[], Program], output: Output) -> bool:
    return await program_of().run(partial(_announce, output))


def given(settings: list[str]) -> dict[str, object]:
    """Settings written as NAME=VALUE; values are read as in the environment."""
    found: dict[str, object] = {}
    for text in settings:
        name, separator, value = text.partition("=")
        if not separator:
            raise InvalidOption(f"--set {text!r} names no value: write NAME=VALUE")
        if name not in SETTINGS:
            raise InvalidOption(f"--set {text!r}: {name!r} is no setting: {meant_by(name)}")
        found[name] = SETTINGS[name].read(value)
    return found


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where that is installed (the extra `fast`), else asyncio's own."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


def _announce(output: Output, announcement: Announcement) -> None:
    # What is there now stays for as long as the server: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    if output.as_json:
        output.document({**_document(announcement)})
    else:
        output.facts(_facts(announcement))
    sys.stdout.flush()


def _document(announcement: Announcement) -> dict[str, object]:
    return {
        "directory": announcement.directory,
        "cluster": announcement.cluster,
        "node": announcement.node,
        "urls": announcement.urls,
        "admin": announcement.admin,
        "gateway": announcement.gateway,
        "tls": announcement.tls,
        "needs_token": announcement.needs_token,
        "pid": announcement.pid,
        "connect": _connect(announcement),
    }


def _facts(announcement: Announcement) -> list[tuple[str, str]]:
    served = announcement.served
    if announcement.node:
        served = f"{served} as {announcement.node}"
    facts = [
        ("serving", f"{served} (Fastness {fastness.__version__})"),
        *(("clients", url) for url in announcement.urls),
    ]
    if announcement.admin:
        facts.append(("admin", f"{announcement.admin}/status"))
    if announcement.gateway:
        facts.append(("gateway", f"{announcement.gateway}/v1/openapi.json"))
    facts.append(("connect", _connect(announcement)))
    return facts


def _connect(announcement: Announcement) -> str:
    """The one line to connect with."""
    url = announcement.urls[0]
    options = []
    if announcement.needs_token:
        options.append("token=...")
    if announcement.tls and not url.startswith("fastness+unix:"):
        options.append("tls=on")
    query = "?" + "&".join(options) if options else ""
    return f'fastness.open("{url}{query}")'
