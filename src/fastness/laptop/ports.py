"""Ports of this machine: free ones, and whether somebody listens."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

HOST = "127.0.0.1"
LISTEN_S = 1.0


def free_ports(count: int, host: str = HOST) -> list[int]:
    """Ports that were free just now, each another.

    From the range that the system also takes for outgoing connections, so one may be taken before
    its server has started: whoever starts it has to say so.
    """
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((host, 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port(host: str = HOST) -> int:
    """A port that was free just now."""
    return free_ports(1, host)[0]


def is_taken(port: int, host: str = HOST) -> bool:
    """Whether nobody else could listen there now."""
    with socket.socket() as probe:
        # As servers do: what a closed connection left behind is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
        return False


def listening(port: int, host: str = HOST) -> Callable[[], bool]:
    """Whether somebody accepts connections there, each time it is asked."""
    return partial(_is_listening, port, host)


def _is_listening(port: int, host: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(LISTEN_S)
        return probe.connect_ex((host, port)) == 0
