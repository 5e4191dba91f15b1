"""The commands of `cluster` that change it: asked of the nodes."""

from __future__ import annotations

from typing import Annotated

import typer

from fastness.cli import notation
from fastness.cli.arguments import JsonOption
from fastness.cli.cluster_access import CaOption, ClusterOption, UrlOption, controlled
from fastness.cli.output import answering

RangeArgument = Annotated[
    int,
    typer.Argument(
        metavar="RANGE",
        help="The number of a range ('fastness cluster ranges').",
        show_default=False,
    ),
]
NodeArgument = Annotated[
    str,
    typer.Argument(
        metavar="NODE",
        help="A node by its name, or its address ('fastness cluster nodes').",
        show_default=False,
    ),
]


def split(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="Where: the first key of the new range.", show_default=False
        ),
    ],
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """Split the range that holds a key there.

    The cluster splits ranges that are asked much by itself; this is for those that will be.
    """
    with answering(json) as output:
        at = notation.parsed(key)
        found = controlled(lambda control: control.split(at), coordinator, url, ca)
        if output.as_json:
            output.document({"range": found.range_id, "split_at": notation.shown(at)})
        else:
            output.text(f"range {found.range_id} was split at {notation.shown(at)}")


def merge(
    range_id: RangeArgument,
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """Let a range absorb its right neighbour, which must be in the same store."""
    with answering(json) as output:
        found = controlled(lambda control: control.merge(range_id), coordinator, url, ca)
        if output.as_json:
            output.document({"range": found.range_id})
        else:
            output.text(f"range {found.range_id} has absorbed its right neighbour")


def transfer_lease(
    range_id: RangeArgument,
    node: NodeArgument,
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """Hand a range to another node. Its clients wait for some milliseconds.

    The cluster evens out what its nodes have to do, and may hand it on.
    """
    with answering(json) as output:
        found = controlled(lambda control: control.transfer(range_id, node), coordinator, url, ca)
        if output.as_json:
            output.document({"range": found.range_id, "node": node})
        else:
            output.text(f"range {found.range_id} was handed to {node}")


def move(
    range_id: RangeArgument,
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE",
            help="A store by its name ('fastness cluster stores').",
            show_default=False,
        ),
    ],
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """Move a range to another store, while it is served.

    What both stores hold is compared by digests before the other one takes over. Until then the
    move can be given up: move the range to the store where it is. A command that was interrupted
    may be repeated: it goes on, or begins anew.
    """
    with answering(json) as output:
        found = controlled(lambda control: control.move(range_id, store), coordinator, url, ca)
        if output.as_json:
            output.document({"range": range_id, "store": found.store, "now": found.range_id})
        else:
            output.text(f"range {range_id} is range {found.range_id} in store {found.store} now")


def drain(
    node: NodeArgument,
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """Have a node hand all its ranges to the others, and take no more. Then stop its process.

    A node that is told to stop (SIGTERM) does so by itself first; a drained one serves nothing
    until it is started again.
    """
    with answering(json) as output:
        drained = controlled(lambda control: control.drain(node), coordinator, url, ca)
        if output.as_json:
            output.document({"node": drained.name, "address": drained.address})
        else:
            output.text(f"{drained.shown} holds nothing any more: stop its process now")
