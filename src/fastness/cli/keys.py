"""The commands on keys and values: get, set, delete, scan."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from fastness import Database, Timestamp, Transaction, from_datetime
from fastness.cli import exits, figures
from fastness.cli.arguments import AtOption, DatabaseArgument, JsonOption, KeyArgument
from fastness.cli.notation import parsed, shown, shown_value
from fastness.cli.opening import reading, writing
from fastness.cli.output import Output, answering
from fastness.encoding.intervals import USER_END, KeyInterval, prefix_end, successor
from fastness.errors import InvalidOption
from fastness.model.operations import read_schema

VALUE_CHARACTERS = 200
"""Of a value, on a terminal; piped output is never cut."""


def get(
    database: DatabaseArgument,
    key: KeyArgument,
    *,
    at: AtOption = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the bytes of the value and nothing else.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Print the value of a key. Exits with 1 if it is absent.

    Works beside a process that holds the directory.
    """
    with answering(json) as output, reading(database) as opened:
        moment = None if at is None else figures.parsed_moment(at)
        wanted = parsed(key)
        with opened.transaction(at=moment, read_only=True) as tx:
            value = tx.get(wanted)
        if value is None:
            if json:
                output.document({"key": shown(wanted), "found": False, "value": None})
            output.remark(f"there is no key {shown(wanted)}")
            raise typer.Exit(exits.FOUND_WRONG)
        if raw:
            sys.stdout.buffer.write(value)
        elif json:
            output.document({"key": shown(wanted), "found": True, "value": shown_value(value)})
        else:
            output.write(_readable(value) + "\n")


def _readable(value: bytes) -> str:
    """A text of several lines as such; everything else in the notation."""
    text = shown_value(value)
    return value.decode() if text.startswith('"') else text


def set(
    database: DatabaseArgument,
    key: KeyArgument,
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE",
            help="As a key is written; '-' reads it from stdin.",
            show_default=False,
        ),
    ],
    *,
    expires_in: Annotated[
        str | None,
        typer.Option(
            "--expires-in", metavar="DURATION", help="Let it expire after 90s, 15m, 2h, 7d."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a value, durably. Creates the database if it is not there."""
    with answering(json) as output:
        wanted = parsed(key)
        content = sys.stdin.buffer.read() if value == "-" else parsed(value)
        expires_at = None if expires_in is None else _expiry(expires_in)
        with writing(database, output) as opened:
            timestamp = opened.set(wanted, content, expires_at=expires_at)
        _committed(output, timestamp)


def _expiry(duration: str) -> Timestamp:
    return from_datetime(datetime.now(UTC) + figures.parsed_duration(duration))


def _committed(output: Output, timestamp: Timestamp) -> None:
    if output.as_json:
        output.document(figures.stamped(timestamp))
    output.remark(f"committed at {timestamp} ({figures.moment(timestamp)})")


def delete(
    database: DatabaseArgument,
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY", help="Keys to remove together.", show_default=False),
    ] = None,
    *,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="KEY", help="Remove every key that begins with this one."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Remove keys, all in one transaction. Removing an absent key is no error."""
    with answering(json) as output:
        wanted = [parsed(key) for key in keys or ()]
        interval = None if prefix is None else prefix_interval(parsed(prefix))
        if not wanted and interval is None:
            raise InvalidOption("nothing to delete: name keys, or --prefix")

        def remove(tx: Transaction) -> Transaction:
            for key in wanted:
                tx.delete(key)
            if interval is not None:
                tx.delete_range(*interval)
            return tx

        with writing(database, output) as opened:
            _committed(output, opened.run(remove).commit_timestamp or 0)


def prefix_interval(prefix: bytes) -> KeyInterval:
    """The keys of the user space that begin with a prefix; all of them with an empty one."""
    return KeyInterval(prefix, min(prefix_end(prefix), USER_END) if prefix else USER_END)


def scan(  # noqa: PLR0913 - each is an option of the command
    database: DatabaseArgument,
    *,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="KEY", help="Keys that begin with this one."),
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--begin", metavar="KEY", help="From this key on.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="KEY", help="Up to, without, this key.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="From the last to the first.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many entries.")
    ] = None,
    keys_only: Annotated[bool, typer.Option("--keys-only", help="Leave the values out.")] = False,
    at: AtOption = None,
    json: JsonOption = False,
) -> None:
    """Print keys with their values, in order; everything unless told otherwise.

    Piped, a line is a key, a tab and a value, both in the notation that commands take; with
    --json each line is an object. All of it is one snapshot, however long it takes. Works
    beside a process that holds the directory.
    """
    with answering(json) as output, reading(database) as opened:
        interval = _interval(prefix, begin, end)
        moment = None if at is None else figures.parsed_moment(at)
        more, key = False, None
        for count, (key, value) in enumerate(_entries(opened, interval, moment, reverse=reverse)):
            if count == limit:
                more = True
                break
            _print_entry(output, key, None if keys_only else value)
        if key is None:
            _tell_records(output, opened)
        elif more:
            _tell_more(
                output, "--end" if reverse else "--begin", successor(key) if reverse else key
            )


def _tell_records(output: Output, opened: Database) -> None:
    """Where the data is, when none is under plain keys."""
    schema = opened.run(read_schema, opened.limits)
    kinds = sorted(schema.stored.values(), key=lambda kind: kind.name)
    if kinds:
        names = ", ".join(kind.name for kind in kinds)
        output.remark(f"no such plain keys; records ({names}) are listed by 'fastness shell'")


def _tell_more(output: Output, option: str, key: bytes) -> None:
    """How to go on, for a person and for a program."""
    if output.as_json:
        output.aside({"more": True, option.removeprefix("--"): shown(key)})
    output.remark(f"there is more: go on with {option} {shlex.quote(shown(key))}")


def _interval(prefix: str | None, begin: str | None, end: str | None) -> KeyInterval:
    if prefix is not None and (begin is not None or end is not None):
        raise InvalidOption("--prefix is an interval of its own: leave out --begin and --end")
    if prefix is not None:
        return prefix_interval(parsed(prefix))
    low = parsed(begin) if begin is not None else b""
    return KeyInterval(low, parsed(end) if end is not None else max(low, USER_END))


def _entries(
    opened: Database, interval: KeyInterval, at: Timestamp | datetime | None, *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    with opened.transaction(at=at, read_only=True) as tx:
        yield from tx.scan_all(*interval, reverse=reverse)


def _print_entry(output: Output, key: bytes, value: bytes | None) -> None:
    if output.as_json:
        entry = {"key": shown(key)}
        output.line(entry if value is None else {**entry, "value": shown_value(value)})
    elif not output.on_terminal:
        output.write(shown(key) + ("\n" if value is None else f"\t{shown_value(value)}\n"))
    else:
        line = Text(shown(key), style="cyan")
        if value is not None:
            text = shown_value(value)
            cut = text if len(text) <= VALUE_CHARACTERS else text[:VALUE_CHARACTERS] + "..."
            line.append("  ").append(cut, style="default")
            if cut != text:
                line.append(f" ({figures.size(len(value))})", style="dim")
        output.text(line)
