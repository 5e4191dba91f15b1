"""Arguments and options that several commands share, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

DatabaseArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATABASE",
        help="Where the database is: a directory ('./data' or 'file:./data'), 'memory:', or a "
        "server ('fastness://HOST:PORT').",
        show_default=False,
    ),
]
KeyArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="Text, '(\"users\", 42)', hex:..., base64:... ('fastness --help' has the notation).",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Answer in JSON, for programs.", show_default=False)
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="MOMENT",
        help="Read the past: a timestamp, an ISO time with zone, or how long ago (90s, 15m, 2h).",
        show_default=False,
    ),
]
CoordinatorOption = Annotated[
    str,
    typer.Option(
        "--coordinator",
        metavar="URL",
        envvar="FASTNESS_COORDINATOR",
        help="Where the cluster is: etcd://HOST:PORT[,HOST:PORT...]/PREFIX.",
        show_default=False,
    ),
]
