"""A network for members: who can reach whom, and what a cut stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fastness.laptop.ports import is_taken
from fastness.laptop.programs import importable
from fastness.testing.chaos import network
from fastness.testing.chaos.network import Cut, Network

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(bool(network.missing()), reason=network.missing() or "it can be"),
]

PORT = 7777
LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], 7777))
print("listening", flush=True)
while True:
    server.accept()[0].close()
"""
DIAL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 7777), timeout=float(sys.argv[2])).close()
except OSError:
    sys.exit(1)
"""
LEAVE = """
import os, signal
from fastness.testing.chaos.network import Network
with Network() as net:
    net.host_of("orphan")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(name="net")
def _net() -> Iterator[Network]:
    """A network with somebody who listens at `server`."""
    with Network() as net:
        host = net.host_of("server")
        command = [*net.prefix_of("server"), sys.executable, "-c", LISTEN, host]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"listening\n"
            try:
                yield net
            finally:
                server.kill()


def reaches(net: Network, name: str, *, within_s: float = 10.0) -> bool:
    """Whether a member gets a connection to the server."""
    command = [*net.prefix_of(name), sys.executable, "-c", DIAL, net.host_of("server")]
    return subprocess.run([*command, str(within_s)], check=False).returncode == 0


def test_a_cut_stops_what_passes_between_two(net: Network) -> None:
    """Both ways or one; others go on; healed, all is as before."""
    assert reaches(net, "first")
    assert reaches(net, "second")
    for cut in (
        Cut(at="first", peers=("server",)),
        Cut(at="first", peers=("server",), outgoing=False),
        Cut(at="first", peers=("server", "second"), incoming=False),
    ):
        number = net.cut(cut)
        assert not reaches(net, "first", within_s=0.3)
        assert reaches(net, "second")
        net.heal(number)
        net.heal(number)
        assert reaches(net, "first")


def test_lost_packets_are_sent_again(net: Network) -> None:
    """A connection comes about all the same; two cuts of one member heal one by one."""
    first = net.cut(Cut(at="first", peers=("server",), percent=30))
    second = net.cut(Cut(at="first", peers=("second",)))
    assert reaches(net, "first", within_s=30.0)
    net.heal(first)
    net.heal(second)
    net.slow_down("first", kbit=300)
    assert reaches(net, "first")
    net.speed_up("first")


def test_ports_of_a_namespace_count_as_free(net: Network) -> None:
    """Nobody but the member can be there, and this process could not listen there itself."""
    assert not is_taken(PORT, net.host_of("somebody"))


def test_nothing_is_left_behind() -> None:
    """Neither by a run that ends, nor, once there is another, by one that was killed."""
    command = [sys.executable, "-c", LEAVE]
    left = subprocess.Popen(command, env={**os.environ, **importable()})
    assert left.wait() == -signal.SIGKILL
    assert f"fc{left.pid}-orphan" in shown("netns", "list")
    assert f"fcb{left.pid}" in shown("-o", "link")
    with Network():
        pass
    for gone in (left.pid, os.getpid()):
        assert f"fc{gone}-" not in shown("netns", "list")
        assert f"fcb{gone}" not in shown("-o", "link")


def shown(*words: str) -> str:
    """What `ip` tells."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
