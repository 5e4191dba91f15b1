"""The command stat: what a database is, how large, and what its server tells of itself."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict
from pathlib import Path

from msgspec import structs

from fastness import Database, DatabaseStat
from fastness.cli import figures
from fastness.cli.arguments import DatabaseArgument, JsonOption
from fastness.cli.opening import database_url, directory_of, reading
from fastness.cli.output import Output, answering
from fastness.client import ServerStat, StoreStat
from fastness.model.operations import read_schema
from fastness.model.stored import State, StoredIndex, StoredKind, StoredTotal
from fastness.operations import Origin, import_mark, origin_of
from fastness.storage.rocksdb.ownership import Owner, read_owner

Facts = list[tuple[str, str]]


def stat(database: DatabaseArgument, *, json: JsonOption = False) -> None:
    """Show what a database is and how large: identity, holder, sizes, kinds of records.

    Works beside a process that holds the directory. A server tells its state too, and what was
    taken with the token; of its store as a whole only where the token reaches all keys.
    """
    with answering(json) as output, reading(database) as opened:
        now, schema = opened.stat(), opened.run(read_schema, opened.limits)
        directory = directory_of(database_url(database))
        if now.server is not None or now.store_told is None:
            document, facts = _served(now)
        else:
            owner = None if directory is None else living_owner(directory)
            document, facts = _opened(opened, now.store, owner)
        kinds = sorted(schema.stored.values(), key=lambda kind: kind.name)
        if json:
            documents = [_kind_document(kind) for kind in kinds]
            output.document({"url": now.url, **document, "kinds": documents})
        else:
            _print(output, [("database", now.url), *facts], kinds)


def living_owner(directory: Path) -> Owner | None:
    """Who holds a directory, as far as this machine can tell.

    The note of a holder that was killed stays behind, so its process is looked for; one on
    another machine is believed.
    """
    owner = read_owner(directory)
    if owner is None or owner.host != socket.gethostname():
        return owner
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return owner  # Alive, and another user's.
    return owner


# A database that was opened here.


def _opened(
    opened: Database, store: StoreStat, owner: Owner | None
) -> tuple[dict[str, object], Facts]:
    origin, mark = origin_of(opened.embedded.store), import_mark(opened)
    document = {
        "identity": store.identity,
        "origin": None if origin is None else _origin_document(origin),
        "held_by": owner,
        **_store_document(store),
        "import": mark,
    }
    facts = [("identity", store.identity)]
    if origin is not None:
        facts.append(
            ("restored from", f"{origin.identity}, as of {figures.moment(origin.timestamp)}")
        )
    if owner is not None:
        facts.append(("held by", f"process {owner.pid} on {owner.host}, since {owner.since}"))
        facts.append(("", owner.command))
    facts += _store_facts(store)
    if mark is not None and not mark.complete:
        facts.append(("unfinished import", f"{mark.entries:,} entries of export {mark.id}"))
    return document, facts


def _origin_document(origin: Origin) -> dict[str, object]:
    return {"identity": origin.identity, **figures.stamped(origin.timestamp)}


def _store_document(store: StoreStat) -> dict[str, object]:
    return {
        "last_commit": figures.stamped(store.applied),
        "readable_since": figures.stamped(store.prune_horizon),
        "size": store.size,
    }


def _store_facts(store: StoreStat) -> Facts:
    return [
        ("last commit", figures.moment(store.applied)),
        ("readable since", figures.moment(store.prune_horizon)),
        ("size", figures.size(store.size.bytes_on_disk)),
        ("keys", f"about {store.size.newest_keys:,}"),
        ("older versions", f"about {store.size.history_versions:,}"),
    ]


# A database behind a server.


def _served(now: DatabaseStat) -> tuple[dict[str, object], Facts]:
    document: dict[str, object] = {"server": None}
    facts: Facts = []
    if now.server is None:
        facts.append(("server", "older than this program, and does not tell its figures"))
    else:
        document["server"] = _server_document(now.server)
        facts += _server_facts(now.server)
    store = now.store_told
    if store is not None:
        document |= {"identity": store.identity, **_store_document(store)}
        facts += [("identity", store.identity), *_store_facts(store)]
    elif now.server is not None:
        document["readable_since"] = figures.stamped(now.server.readable_since)
        facts.append(("readable since", figures.moment(now.server.readable_since)))
    return document, facts


def _server_document(server: ServerStat) -> dict[str, object]:
    document = asdict(server)
    del document["readable_since"]  # It stands beside, as for a database opened here.
    document["use"] = None if server.use is None else structs.asdict(server.use)
    return document


def _server_facts(server: ServerStat) -> Facts:
    state = "ready" if server.is_ready else "not ready: ranges are not served, or no timestamps"
    facts = [
        ("server", f"{server.agent}, up for {figures.duration(server.uptime_ms / 1_000)}"),
        ("state", state),
    ]
    if server.write_refusal:
        facts.append(("writes refused", server.write_refusal))
    use = server.use
    if use is not None:
        moved = f"{figures.size(use.bytes_in)} in, {figures.size(use.bytes_out)} out"
        facts += [
            ("token", f"{use.token or '(none)'}, {use.connections:,} connections"),
            ("taken with it", f"{use.operations:,} operations in {use.requests:,} requests"),
            ("", f"{moved}; {use.refused:,} refused, {use.limited:,} of them for their rate"),
        ]
    return facts


# Kinds of records.


def _kind_document(kind: StoredKind) -> dict[str, object]:
    return {
        "kind": kind.name,
        "key": [column.name for column in kind.key],
        "fields": {field.name: str(field.shape) for field in kind.fields},
        "indexes": {index.name: index.state.value for index in kind.indexes},
        "totals": {total.name: total.state.value for total in kind.totals},
    }


def _print(output: Output, facts: Facts, kinds: list[StoredKind]) -> None:
    output.facts(facts)
    if kinds:
        output.write("\n")
        output.table(("kind", "key", "indexes", "totals"), map(_kind_row, kinds))


def _kind_row(kind: StoredKind) -> tuple[str, str, str, str]:
    return (
        kind.name,
        ", ".join(column.name for column in kind.key),
        ", ".join(_with_state(index) for index in kind.indexes),
        ", ".join(_with_state(total) for total in kind.totals),
    )


def _with_state(table: StoredIndex | StoredTotal) -> str:
    return table.name if table.state is State.READABLE else f"{table.name} (being built)"
