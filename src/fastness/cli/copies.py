"""The commands that copy a database: backup, restore, export, import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from fastness.cli import figures
from fastness.cli.arguments import AtOption, DatabaseArgument, JsonOption
from fastness.cli.opening import database_url, existing_directory, reading, writing
from fastness.cli.output import answering
from fastness.cli.progress import progress_of
from fastness.errors import InvalidOption
from fastness.limits import Limits
from fastness.operations import (
    backup_directory,
    export_lines,
    import_lines,
    import_mark,
    restore,
    verify_lines,
)
from fastness.operations.durable_files import completed_file

BackupArgument = Annotated[
    Path,
    typer.Argument(metavar="BACKUP", help="The directory of the backup.", show_default=False),
]


def backup(
    database: DatabaseArgument,
    backup: Annotated[
        Path,
        typer.Argument(metavar="BACKUP", help="A new directory to make.", show_default=False),
    ],
    *,
    json: JsonOption = False,
) -> None:
    """Copy a database into a new directory, whole and with digests of every file.

    Works beside a process that holds the directory, which goes on writing: what it had
    committed before is in the backup.
    """
    with answering(json) as output, progress_of(output) as progress:
        directory = existing_directory(database_url(database))
        if directory is None:
            raise InvalidOption(
                f"{database} has no directory to back up: name the database's, on the machine "
                "where it is; memory is exported ('fastness export')"
            )
        made = backup_directory(directory, backup, progress=progress)
        if json:
            output.document(
                {
                    "backup": str(made.path),
                    "identity": made.identity,
                    **figures.stamped(made.timestamp),
                    "files": made.files,
                    "bytes": made.bytes,
                }
            )
        else:
            output.text(
                f"{made.path}: {made.files} files, {figures.size(made.bytes)}, every commit up to "
                f"{figures.moment(made.timestamp)}"
            )
        output.remark(f"verify it with: fastness check {made.path}")


def restore_backup(
    backup: BackupArgument,
    target: Annotated[
        Path,
        typer.Argument(metavar="DIRECTORY", help="A new directory to make.", show_default=False),
    ],
    *,
    json: JsonOption = False,
) -> None:
    """Make a database in a new directory from a backup, every byte verified.

    It gets an identity of its own, so that nothing takes it for the original.
    """
    with answering(json) as output, progress_of(output) as progress:
        made = restore(backup, target, progress=progress)
        if json:
            output.document(
                {
                    "database": f"file:{made.path}",
                    "identity": made.identity,
                    "origin": {
                        "identity": made.origin.identity,
                        **figures.stamped(made.origin.timestamp),
                    },
                    "files": made.files,
                    "bytes": made.bytes,
                }
            )
        else:
            output.text(
                f"{made.path}: {made.files} files, {figures.size(made.bytes)}, as of "
                f"{figures.moment(made.origin.timestamp)}"
            )
        output.remark(f"identity {made.identity}, restored from {made.origin.identity}")


def export(
    database: DatabaseArgument,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A new file to write; '-' writes to stdout."),
    ] = "-",
    *,
    at: AtOption = None,
    json: JsonOption = False,
) -> None:
    """Write everything as JSON lines: readable, lossless, one snapshot, with a digest.

    Keys, values, expiries, typed records and their schema. Works beside a process that holds
    the directory. With --json a summary goes to stderr if the export goes to stdout.
    """
    with answering(json) as output, reading(database) as opened, progress_of(output) as progress:
        moment = None if at is None else figures.parsed_moment(at)
        with _target(file) as stream:
            made = export_lines(opened, stream, at=moment, progress=progress)
        summary = {
            "file": None if file == "-" else file,
            "identity": made.identity,
            **figures.stamped(made.timestamp),
            "entries": made.entries,
            "bytes": made.bytes,
            "sha256": made.sha256,
        }
        if json and file == "-":
            output.aside(summary)
        elif json:
            output.document(summary)
        output.remark(
            f"{made.entries:,} entries, {figures.size(made.bytes)}, as of "
            f"{figures.moment(made.timestamp)}"
        )


@contextmanager
def _target(file: str) -> Iterator[BinaryIO]:
    """Stdout, or a file that appears when it is complete."""
    if file == "-":
        yield sys.stdout.buffer
    else:
        with completed_file(Path(file)) as stream:
            yield stream


def import_(
    database: DatabaseArgument,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="What 'fastness export' wrote; '-' reads stdin."),
    ] = "-",
    *,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Import plain keys into a database that holds others, replacing."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Read an export into a new or empty database. Run again after an interruption, it goes on.

    A file is verified to its end before anything is written.
    """
    with answering(json) as output, _source(file) as stream, progress_of(output) as progress:
        verified = stream.seekable()
        if verified:
            verify_lines(stream, Limits(), progress=progress)
        with writing(database, output) as opened:
            try:
                made = import_lines(
                    opened, stream, overwrite=overwrite, verified=verified, progress=progress
                )
            except KeyboardInterrupt:
                mark = import_mark(opened)
                count = 0 if mark is None else mark.entries
                output.remark(f"{count:,} entries are imported: run it again to go on", "yellow")
                raise
        if json:
            output.document(
                {
                    "entries": made.entries,
                    "written": made.written,
                    "origin": {"identity": made.origin, **figures.stamped(made.timestamp)},
                }
            )
        elif made.written:
            output.text(f"{made.written:,} entries imported, of {made.entries:,} in the export")
        else:
            output.text(f"nothing to do: all {made.entries:,} entries were imported before")


@contextmanager
def _source(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise InvalidOption(
                f"{file} cannot be read ({error.strerror}): name an export"
            ) from error
        yield stream
