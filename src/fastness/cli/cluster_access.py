"""How the commands of `fastness cluster` are told which cluster is meant, and reach it.

They take the URL of the coordinator, whose records say everything and let the command in at the
nodes; or that of a node, with an admin's token, for whoever may not read the coordinator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from fastness.errors import InvalidOption
from fastness.operations.control import Control, controlling

T = TypeVar("T")

ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--coordinator",
        metavar="URL",
        envvar="FASTNESS_COORDINATOR",
        help="Which cluster: etcd://HOST:PORT[,HOST:PORT...]/PREFIX.",
        show_default=False,
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="FASTNESS_URL",
        help="Or by a node of it, with an admin's token: fastness://HOST:PORT.",
        show_default=False,
    ),
]
CaOption = Annotated[
    str,
    typer.Option(
        "--ca",
        metavar="FILE",
        help="With --coordinator: dial nodes with TLS, and trust these CAs (PEM).",
        show_default=False,
    ),
]


def controlled(
    work: Callable[[Control], Awaitable[T]], coordinator: str | None, url: str | None, ca: str
) -> T:
    """What this comes to in the cluster that the options name."""
    where = coordinator or url
    if not where:
        raise InvalidOption(
            "which cluster? name its coordinator (--coordinator etcd://HOST:PORT/PREFIX, or "
            "FASTNESS_COORDINATOR), or a node (--url fastness://HOST:PORT)"
        )

    async def main() -> T:
        async with controlling(where, ca=ca) as control:
            return await work(control)

    return asyncio.run(main())
