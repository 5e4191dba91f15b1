"""What a server says once it is ready: to whoever started it, and in its log."""

from __future__ import annotations

import logging

import msgspec

from fastness.server.logs import event

_log = logging.getLogger("fastness.server")


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says once it is ready."""

    directory: str
    """What it serves, empty for a node of a cluster."""
    cluster: str
    """The id of its cluster, empty for a server that is alone."""
    node: str
    """Its name there."""
    urls: list[str]
    """For clients, the first is the one to give away."""
    admin: str
    """The URL of the admin pages, empty where there are none."""
    gateway: str
    """The URL of the HTTP gateway, empty where there is none."""
    tls: bool
    needs_token: bool
    pid: int

    @property
    def served(self) -> str:
        """What it serves, for people."""
        return self.directory or f"cluster {self.cluster}"


def log_ready(told: Announcement, *, tokens: str, open_to_anyone: bool, is_local: bool) -> None:
    """Log that it is ready, and what about it is unsafe; `tokens` is the file of them.

    `is_local`: only its own machine reaches it.
    """
    event(
        _log,
        logging.INFO,
        "ready",
        directory=told.directory,
        cluster=told.cluster,
        node=told.node,
        tokens=tokens,
    )
    if not told.needs_token and open_to_anyone:
        event(_log, logging.WARNING, "whoever reaches this server has full access")
    if told.cluster and not told.tls and not is_local:
        event(
            _log,
            logging.WARNING,
            "the cluster's secret travels in the clear between nodes: give all of them "
            "certificates (tls.certificate, tls.key, tls.ca)",
        )
