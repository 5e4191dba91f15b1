"""The commands `cluster init`, `add-store` and `remove-store`: before there are nodes, or beside.

They speak to the coordinator and the stores themselves: what they write every node reads from
there, and no node has to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer
from msgspec import structs

from fastness.cli import notation
from fastness.cli.arguments import CoordinatorOption, JsonOption
from fastness.cli.cluster_access import CaOption, controlled
from fastness.cli.output import Output, answering
from fastness.errors import InvalidOption
from fastness.limits import Limits
from fastness.operations.founding import Added, Founded, add_store, found_cluster
from fastness.placement.membership import StoreRecord
from fastness.server.clustered import coordinator_of_tool, prepare_store
from fastness.server.naming import own_stores
from fastness.server.shown import shown_url

T = TypeVar("T")

UnreplicatedOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Take this store although a commit rests on one server alone; may be repeated.",
        show_default=False,
    ),
]


def init(
    *,
    coordinator: CoordinatorOption,
    store: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=URL",
            help="A store, NAME=postgresql://HOST:PORT,HOST:PORT/DATABASE; may be repeated.",
            show_default=False,
        ),
    ] = None,
    border: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="Begin with several ranges, divided here, over the stores in turn; may be "
            "repeated, in order.",
            show_default=False,
        ),
    ] = None,
    allow_unreplicated: UnreplicatedOption = None,
    json: JsonOption = False,
) -> None:
    """Make a cluster, or finish making it.

    Writes which cluster this is at the coordinator, prepares the stores, which then belong to it
    for good, and divides the keys into the first ranges. A repeat changes nothing that is done.
    Nodes are started with 'fastness serve --coordinator'.
    """
    with answering(json) as output:
        stores = _stores(store or [], allow_unreplicated or [])
        borders = [notation.parsed(text) for text in border or []]

        async def work() -> Founded:
            async with coordinator_of_tool(coordinator, Limits()) as reached:
                return await found_cluster(reached, stores, prepare_store, borders=borders)

        _tell_founded(output, _run(work()))


def add(
    store: Annotated[
        str,
        typer.Argument(
            metavar="NAME=URL", help="Its name and postgresql:// URL.", show_default=False
        ),
    ],
    *,
    coordinator: CoordinatorOption,
    allow_unreplicated: Annotated[
        bool,
        typer.Option(
            "--allow-unreplicated", help="Take it although a commit rests on one server alone."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Add a store to a cluster, or give another URL of one it has.

    Nodes that run open a new store at once; ranges come to it by 'fastness cluster move'. Another
    URL counts from a node's next start.
    """
    with answering(json) as output:
        (record,) = _stores([store], [])
        record = structs.replace(record, allow_unreplicated=allow_unreplicated)

        async def work() -> Added:
            async with coordinator_of_tool(coordinator, Limits()) as reached:
                return await add_store(reached, record, prepare_store)

        _tell_added(output, _run(work()))


def remove(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE",
            help="A store by its name ('fastness cluster stores').",
            show_default=False,
        ),
    ],
    *,
    coordinator: CoordinatorOption,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """Let a cluster forget a store in which no range lies any more.

    Move its ranges to others first ('fastness cluster move'). Running nodes let go of it within
    seconds; its database stays as it is, and belongs to this cluster still.
    """
    with answering(json) as output:
        removed = controlled(lambda one: one.remove_store(store), coordinator, None, ca)
        if output.as_json:
            output.document(_document(removed))
        else:
            output.text(f"store {removed.name} is forgotten: {shown_url(removed.url)}")


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _stores(texts: list[str], unreplicated: list[str]) -> list[StoreRecord]:
    found = own_stores(texts)
    for name in unreplicated:
        if name not in found:
            known = ", ".join(found) or "none"
            raise InvalidOption(
                f"--allow-unreplicated {name!r} names no store of this command ({known}): name "
                "one of them"
            )
        found[name] = structs.replace(found[name], allow_unreplicated=True)
    return list(found.values())


def _tell_founded(output: Output, founded: Founded) -> None:
    if output.as_json:
        output.document(
            {
                "cluster": founded.cluster.id,
                "created": founded.created,
                "protocol": founded.cluster.protocol,
                "ranges": founded.ranges,
                "stores": [_document(record) for record in founded.stores],
            }
        )
        return
    output.facts(
        [
            ("cluster", founded.cluster.id),
            *((f"store {one.name}", shown_url(one.url)) for one in founded.stores),
            ("ranges", str(founded.ranges)),
        ]
    )
    output.remark(
        "made; start nodes with 'fastness serve --coordinator ... --name NAME'"
        if founded.created
        else "it was there already: nothing was changed"
    )


def _tell_added(output: Output, added: Added) -> None:
    if output.as_json:
        output.document(
            {"cluster": added.cluster.id, "change": added.change, **_document(added.store)}
        )
        return
    output.facts([("store", added.store.name), ("url", shown_url(added.store.url))])
    output.remark(added.change)


def _document(record: StoreRecord) -> dict[str, object]:
    return {
        "store": record.name,
        "url": shown_url(record.url),
        "identity": record.identity,
        "allow_unreplicated": record.allow_unreplicated,
    }
