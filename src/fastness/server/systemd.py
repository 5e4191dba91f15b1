"""Word to systemd: that the server is ready, reloading, stopping, alive (sd_notify(3)).

The protocol is a datagram of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names, so
there is nothing to depend on. Without the variable, outside systemd, nothing is sent. A unit
of `Type=notify-reload` with `WatchdogSec=` gets all there is.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

_log = logging.getLogger("fastness.server")


class Systemd:
    """The one who started this process, if it was systemd."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """By the variables that systemd sets; those of this process if none are given."""
        found = os.environ if environment is None else environment
        place = found.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with @ and has a zero byte there.
        self._place = "\0" + place[1:] if place.startswith("@") else place
        self.watchdog_seconds = _watchdog_seconds(found)
        """How often to say `alive`, 0 where nobody listens for it: half of what it waits."""

    def ready(self, status: str) -> None:
        """Requests are served."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self) -> None:
        """Nothing new is taken."""
        self._send("STOPPING=1\nSTATUS=draining")

    def alive(self) -> None:
        """The loop turns."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._place:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                # A notification is no reason to stand still.
                line.settimeout(0)
                line.sendto(state.encode(), self._place)
        except OSError as error:
            _log.warning("systemd was not told %s: %s", state.partition("\n")[0], error)


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant_for = environment.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or (meant_for and meant_for != str(os.getpid())):
        return 0.0
    return int(microseconds) / 2_000_000
