"""How a client came in: by which URL, to which part of the keys, and whether to write."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What opening a database behind a server came to."""

    url: str = ""
    """As it may be shown."""
    space: bytes = b""
    """Put before every key: all that the client can reach begins with it."""
    read_only: bool = False
    cache: bool = False
    """Whether reads are served from the near cache unless they say otherwise."""
