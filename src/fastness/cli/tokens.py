"""The commands `token create`, `token list` and `token revoke`: who may use a server."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fastness.cli import notation
from fastness.cli.arguments import JsonOption
from fastness.cli.figures import parsed_duration
from fastness.cli.output import Output, answering
from fastness.errors import InvalidOption
from fastness.server.token_file import add_token, read_tokens, revoke_token
from fastness.server.tokens import ROLES, Allowance, Token, issue
from fastness.wire.handshake import Role

app = typer.Typer(no_args_is_help=True, help="Tokens of a server: create, list, revoke.")

TokensOption = Annotated[
    Path,
    typer.Option(
        "--tokens",
        metavar="FILE",
        envvar="FASTNESS_TOKENS",
        help="The token file, as 'serve' is given it.",
        show_default=False,
    ),
]


@app.command()
def create(  # noqa: PLR0913 - one for each thing a token grants
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The service or person who will use it.", show_default=False
        ),
    ],
    *,
    tokens: TokensOption,
    role: Annotated[
        str,
        typer.Option(metavar="ROLE", help="What it may do: admin, read-write or read-only."),
    ] = "read-write",
    key_space: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Let it reach only keys that begin so, a tenant's own: '(\"billing\",)'.",
            show_default=False,
        ),
    ] = None,
    expires_in: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Let it end after 12h, 90d.", show_default=False),
    ] = None,
    operations: Annotated[
        int, typer.Option(min=0, help="Keys and scans per second; 0: no limit.")
    ] = 0,
    bytes_: Annotated[
        int, typer.Option("--bytes", min=0, help="Bytes per second, both ways; 0: no limit.")
    ] = 0,
    connections: Annotated[
        int, typer.Option(min=0, help="Connections at a time; 0: no limit.")
    ] = 0,
    in_flight: Annotated[
        int, typer.Option(min=0, help="Requests worked on at a time; 0: no limit.")
    ] = 0,
    nested: Annotated[
        bool,
        typer.Option("--nested", help="Let its key space lie within another's, or around it."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make a token and print it. It is shown this once: the file keeps only a digest.

    Makes the file if it is not there. A running server takes the token up within a second.
    """
    with answering(json) as output:
        now_ms = time.time_ns() // 1_000_000
        lives = None if expires_in is None else parsed_duration(expires_in)
        issued = issue(
            name=name,
            role=_role(role),
            key_space=b"" if key_space is None else notation.parsed(key_space),
            now_ms=now_ms,
            expires_ms=0 if lives is None else now_ms + int(lives.total_seconds() * 1_000),
            allowance=Allowance(
                operations_per_second=operations,
                bytes_per_second=bytes_,
                connections=connections,
                in_flight=in_flight,
            ),
        )
        add_token(tokens, issued, nested=nested)
        if json:
            output.document({"token": issued.credential, **_document(issued.token)})
        else:
            output.text(issued.credential)
            output.remark("keep it safe: it is not shown again")


@app.command("list")
def list_(*, tokens: TokensOption, json: JsonOption = False) -> None:
    """Show every token of a file: its role, its key space, until when, its limits."""
    with answering(json) as output:
        found = read_tokens(tokens)
        if json:
            output.document({"tokens": [_document(token) for token in found]})
        else:
            _print(output, found)


@app.command()
def revoke(
    which: Annotated[
        str, typer.Argument(metavar="NAME", help="The token's name or id.", show_default=False)
    ],
    *,
    tokens: TokensOption,
    json: JsonOption = False,
) -> None:
    """Let a token in no more. A running server ends its connections within a second."""
    with answering(json) as output:
        token = revoke_token(tokens, which, now_ms=time.time_ns() // 1_000_000)
        if json:
            output.document(_document(token))
        else:
            output.text(f"revoked {token.name} ({token.id})")


def _role(text: str) -> Role:
    for role in ROLES:
        if text == role.value:
            return role
    known = ", ".join(role.value for role in ROLES)
    raise InvalidOption(f"role {text!r} is none: choose {known}")


def _document(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "key_space": notation.shown(token.key_space) if token.key_space else "",
        "created": _moment(token.created_ms),
        "expires": _moment(token.expires_ms),
        "revoked": _moment(token.revoked_ms),
        "state": _state(token),
        "limits": token.allowance,
    }


def _state(token: Token) -> str:
    return token.ended(time.time_ns() // 1_000_000) or "in force"


def _moment(milliseconds: int) -> str | None:
    if not milliseconds:
        return None
    return datetime.fromtimestamp(milliseconds // 1_000, UTC).isoformat().replace("+00:00", "Z")


def _print(output: Output, tokens: list[Token]) -> None:
    columns = ("name", "id", "role", "key space", "state", "created", "expires", "limits")
    output.table(
        columns,
        (
            (
                token.name,
                token.id,
                token.role.value,
                notation.shown(token.key_space) if token.key_space else "all keys",
                _state(token),
                _moment(token.created_ms) or "-",
                _moment(token.expires_ms) or "never",
                _limits(token.allowance),
            )
            for token in tokens
        ),
    )


def _limits(allowance: Allowance) -> str:
    named = (
        (allowance.operations_per_second, "operations/s"),
        (allowance.bytes_per_second, "bytes/s"),
        (allowance.connections, "connections"),
        (allowance.in_flight, "in flight"),
    )
    return ", ".join(f"{limit:,} {what}" for limit, what in named if limit) or "none"
