"""Ports of this machine: free ones, and whether somebody listens."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from secrets import SystemRandom

from fastness.errors import AddressUnavailable

HOST = "127.0.0.1"
LISTEN_S = 1.0
LOWEST, HIGHEST = 10_240, 32_768
TRIES = 1_000
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int, host: str = HOST) -> list[int]:
    """Ports that were free just now, each another.

    Below the range from which the system takes those of outgoing connections: else one of these
    may have a port when its server starts, or is started again days later.
    """
    found: list[int] = []
    for port in SystemRandom().sample(range(LOWEST, _outgoing_from()), k=TRIES):
        if len(found) == count:
            return found
        if not is_taken(port, host):
            found.append(port)
    raise AddressUnavailable(
        f"no {count} free ports of {host} among {TRIES} between {LOWEST} and {_outgoing_from()}: "
        "'ss -ltn' shows who listens; stop what is not needed"
    )


def _outgoing_from() -> int:
    try:
        return int(OUTGOING.read_text("utf-8").split()[0])
    except OSError:
        return HIGHEST


def free_port(host: str = HOST) -> int:
    """A port that was free just now."""
    return free_ports(1, host)[0]


def is_taken(port: int, host: str = HOST) -> bool:
    """Whether nobody else could listen there now.

    A host that this process does not have is that of a network namespace, where nobody else is.
    """
    with socket.socket() as probe:
        # As servers do: what a closed connection left behind is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
        return False


def listening(port: int, host: str = HOST) -> Callable[[], bool]:
    """Whether somebody accepts connections there, each time it is asked."""
    return partial(_is_listening, port, host)


def _is_listening(port: int, host: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(LISTEN_S)
        return probe.connect_ex((host, port)) == 0
