"""The commands that look: stat, check, version."""

from __future__ import annotations

import os
import platform
import socket
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

import fastness
from fastness import Database
from fastness.cli import exits, figures
from fastness.cli.arguments import DatabaseArgument, JsonOption
from fastness.cli.opening import database_url, directory_of, reading
from fastness.cli.output import Output, answering
from fastness.cli.progress import progress_of
from fastness.errors import StoreDamaged
from fastness.model.stored import State, StoredIndex, StoredKind, StoredTotal
from fastness.operations import (
    CheckReport,
    Finding,
    OnProgress,
    Origin,
    check,
    import_mark,
    is_backup,
    origin_of,
    verify_backup,
)
from fastness.storage.rocksdb.identity import FORMAT
from fastness.storage.rocksdb.ownership import Owner, read_owner

DEPENDENCIES = ("rocksdict", "msgspec", "h11", "typer", "rich", "prompt_toolkit")


def stat(database: DatabaseArgument, *, json: JsonOption = False) -> None:
    """Show what a database is and how large: identity, holder, sizes, kinds of records.

    Works beside a process that holds the directory.
    """
    with answering(json) as output, reading(database) as opened:
        directory = directory_of(database_url(database))
        owner = None if directory is None else living_owner(directory)
        if json:
            output.document(_stat_document(opened, owner))
        else:
            _print_stat(output, opened, owner)


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


def _stat_document(opened: Database, owner: Owner | None) -> dict[str, object]:
    now = opened.stat()
    store = opened.embedded.store
    origin = origin_of(store)
    return {
        "url": now.url,
        "identity": now.store.identity,
        "origin": None if origin is None else _origin_document(origin),
        "held_by": owner,
        "last_commit": figures.stamped(store.applied),
        "readable_since": figures.stamped(now.store.prune_horizon),
        "size": now.store.size,
        "import": import_mark(opened),
        "kinds": [_kind_document(kind) for kind in opened.embedded.read_schema().stored.values()],
    }


def _origin_document(origin: Origin) -> dict[str, object]:
    return {"identity": origin.identity, **figures.stamped(origin.timestamp)}


def _kind_document(kind: StoredKind) -> dict[str, object]:
    return {
        "kind": kind.name,
        "key": [column.name for column in kind.key],
        "fields": {field.name: str(field.shape) for field in kind.fields},
        "indexes": {index.name: index.state.value for index in kind.indexes},
        "totals": {total.name: total.state.value for total in kind.totals},
    }


def _print_stat(output: Output, opened: Database, owner: Owner | None) -> None:
    now = opened.stat()
    store = opened.embedded.store
    origin, mark = origin_of(store), import_mark(opened)
    facts = [("database", now.url), ("identity", now.store.identity)]
    if origin is not None:
        facts.append(
            ("restored from", f"{origin.identity}, as of {figures.moment(origin.timestamp)}")
        )
    if owner is not None:
        facts.append(("held by", f"process {owner.pid} on {owner.host}, since {owner.since}"))
        facts.append(("", owner.command))
    facts += [
        ("last commit", figures.moment(store.applied)),
        ("readable since", figures.moment(now.store.prune_horizon)),
        ("size", figures.size(now.store.size.bytes_on_disk)),
        ("keys", f"about {now.store.size.newest_keys:,}"),
        ("older versions", f"about {now.store.size.history_versions:,}"),
    ]
    if mark is not None and not mark.complete:
        facts.append(("unfinished import", f"{mark.entries:,} entries of export {mark.id}"))
    output.facts(facts)
    kinds = sorted(opened.embedded.read_schema().stored.values(), key=lambda kind: kind.name)
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


def check_database(
    database: Annotated[
        str,
        typer.Argument(
            metavar="DATABASE", help="A database, or a backup's directory.", show_default=False
        ),
    ],
    *,
    json: JsonOption = False,
) -> None:
    """Read everything and report what is wrong. Exits with 1 if anything is.

    The store's tables (checksums, order, versions, log), then every typed record with its
    index entries and totals; of a backup its files' digests first. Works beside a process
    that holds the directory.
    """
    with answering(json) as output:
        with progress_of(output) as progress:
            report = _checked(database, progress)
        if json:
            output.document(
                {
                    "ok": report.ok,
                    "identity": report.identity,
                    "rows": report.rows,
                    "records": report.records,
                    "findings": report.findings,
                }
            )
        elif report.ok:
            output.text(f"ok: {report.rows:,} rows and {report.records:,} entries of records read")
        else:
            rows = ((finding.part, finding.place, finding.what) for finding in report.findings)
            output.table(("part", "place", "what is wrong"), rows)
            output.remark(
                f"{len(report.findings)} found wrong: 'docs/OPERATIONS.md' says what to do", "red"
            )
        if not report.ok:
            raise typer.Exit(exits.FOUND_WRONG)


def _checked(database: str, progress: OnProgress) -> CheckReport:
    """The report on a database or a backup; damage that hinders opening is a finding."""
    directory = directory_of(database_url(database))
    if directory is not None and is_backup(directory):
        manifest, findings = verify_backup(directory, progress=progress)
        if findings:
            return CheckReport(manifest.identity, findings, rows=0, records=0)
        database = f"file:{directory / 'store'}"
    try:
        with reading(database) as opened:
            return check(opened, progress=progress)
    except StoreDamaged as damage:
        finding = Finding("store", "opening", str(damage))
        return CheckReport("", (finding,), rows=0, records=0)


def version(*, json: JsonOption = False) -> None:
    """Show the version of Fastness, of its format on disk, and of what it runs on."""
    with answering(json) as output:
        versions = {name: metadata.version(name) for name in DEPENDENCIES}
        if json:
            output.document(
                {
                    "fastness": fastness.__version__,
                    "format": FORMAT,
                    "python": platform.python_version(),
                    **versions,
                }
            )
            return
        output.facts(
            [
                ("fastness", fastness.__version__),
                ("format on disk", str(FORMAT)),
                ("python", platform.python_version()),
                *versions.items(),
            ]
        )
