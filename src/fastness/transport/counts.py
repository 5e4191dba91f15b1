"""What a process counts at its connections since it began."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TransportCounts:
    """Live figures; only `connections` and `unauthenticated` sink again."""

    connections: int = 0
    """Open ones, those still in their handshake included."""
    unauthenticated: int = 0
    """Of them, those in their handshake."""
    accepted: int = 0
    dialed: int = 0
    opened: int = 0
    """Handshakes that ended well, of either kind."""
    closed: int = 0
    refused_connections: int = 0
    """Accepted ones turned away because there were too many."""
    refused_handshakes: int = 0
    """Credential, version, address or form was not as it must be."""
    silent_handshakes: int = 0
    """Said too little in `limits.handshake_ms`, or made room for newer ones."""
    failed_dials: int = 0
    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    malformed: int = 0
    """Connections closed for bytes that make no sense."""
    oversized: int = 0
    """Connections closed for a frame that is too long, and own frames too long to be sent."""
    slow: int = 0
    """Peers disconnected because they did not read."""
    dead: int = 0
    """Peers disconnected because nothing was heard of them."""
    undeliverable: int = 0
    """Frames dropped because nobody could be reached."""
    accept_errors: int = 0
    """Times a connection could not be accepted: no file descriptors, for example."""
