"""The commands that look: check, version."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Annotated

import typer

import fastness
from fastness.cli import exits
from fastness.cli.arguments import JsonOption
from fastness.cli.opening import database_url, directory_of, reading
from fastness.cli.output import answering
from fastness.cli.progress import progress_of
from fastness.errors import StoreDamaged
from fastness.operations import (
    CheckReport,
    Finding,
    OnProgress,
    check,
    is_backup,
    verify_backup,
)
from fastness.storage.rocksdb.identity import FORMAT

DEPENDENCIES = ("rocksdict", "msgspec", "h11", "typer", "rich", "prompt_toolkit")


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
