"""Word to systemd, as datagrams to the socket that it names."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastness.server.systemd import Systemd


@pytest.fixture
def line() -> Iterator[socket.socket]:
    """A datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.settimeout(10)
        yield made


def test_what_is_said(line: socket.socket, tmp_path: Path) -> None:
    """Each word is one datagram of lines."""
    line.bind(str(tmp_path / "notify"))
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    systemd.ready("serving")
    systemd.reloading()
    systemd.alive()
    systemd.stopping()
    assert line.recv(100) == b"READY=1\nSTATUS=serving"
    reloading = line.recv(100)
    assert reloading.startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert int(reloading.rpartition(b"=")[2]) > 0
    assert line.recv(100) == b"WATCHDOG=1"
    assert line.recv(100).startswith(b"STOPPING=1\n")


def test_an_abstract_socket(line: socket.socket) -> None:
    """Written with @ in the environment."""
    name = f"fastness-test-{os.getpid()}"
    line.bind("\0" + name)
    Systemd({"NOTIFY_SOCKET": f"@{name}"}).alive()
    assert line.recv(100) == b"WATCHDOG=1"


def test_without_systemd() -> None:
    """Nothing is sent where nobody asked for it."""
    systemd = Systemd({})
    systemd.ready("serving")
    assert systemd.watchdog_seconds == 0


def test_a_socket_that_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and nothing else happens."""
    with caplog.at_level(logging.WARNING, logger="fastness.server"):
        Systemd({"NOTIFY_SOCKET": str(tmp_path / "absent")}).ready("serving")
    assert "systemd was not told READY=1" in caplog.text


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_how_often_to_say_alive(environment: dict[str, str], seconds: float) -> None:
    """Twice in what systemd waits, if it is this process it waits for."""
    assert Systemd(environment).watchdog_seconds == seconds
