"""What a node tells of itself to a client: its state, the use of the client's token, its store.

Whoever asks sees its own use. How much a store holds and does is the affair of those who reach
all keys: it would tell a tenant about the others.
"""

from __future__ import annotations

import msgspec

from fastness.encoding.timestamps import Timestamp


class TokenUse(msgspec.Struct, frozen=True, array_like=True):
    """What was taken with one token since the server started; the last two are of now."""

    token: str
    """Its name."""
    requests: int
    operations: int
    """Keys and intervals named in them."""
    bytes_in: int
    bytes_out: int
    refused: int
    limited: int
    """Of those refused, the ones that came too fast."""
    in_flight: int
    connections: int


class StoreFigures(msgspec.Struct, frozen=True, array_like=True):
    """A store, and what the node did to it since it started; rows are estimates."""

    identity: str
    applied: Timestamp
    """The newest commit."""
    batches: int
    clock_jumps: int
    bytes_on_disk: int
    newest_keys: int
    history_versions: int
    log_entries: int


class FiguresRequest(msgspec.Struct, frozen=True, array_like=True, tag=69):
    """To any node: its figures, as far as the sender may see them."""


class FiguresAnswer(msgspec.Struct, frozen=True, array_like=True, tag=70):
    """Of the node that was asked; `readable_since` is its ranges' highest prune horizon."""

    agent: str
    uptime_ms: int
    is_ready: bool
    write_refusal: str
    """Why its store takes no writes for now, empty while it does."""
    readable_since: Timestamp
    use: TokenUse | None = None
    store: StoreFigures | None = None
