"""What a simulated event loop refuses: everything that would leave the simulated world.

A thread or a socket would bring real time in, and the run could never be repeated.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from fastness.testing.simulation.failures import RefusedInSimulation


def refuse(what: str) -> NoReturn:
    """Raise `RefusedInSimulation` for a call that would leave the simulation."""
    raise RefusedInSimulation(
        f"{what}: a simulated world has no threads, sockets, processes or signals; give the code "
        "under test a `Process` of the world to send, wait and spawn with"
    )


class _Refused:
    """A method that exists, as asyncio's do, and refuses when it is called."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, _loop: object, _owner: type) -> _Refused:
        return self

    def __call__(self, *_args: object, **_options: object) -> NoReturn:
        refuse(self._name)


def _refused() -> Any:  # noqa: ANN401 - it stands in for a method of any signature
    return _Refused()


class RealWorldRefused(asyncio.AbstractEventLoop):
    """The calls of an event loop that reach outside; each is refused with a clear error."""

    run_in_executor = _refused()
    set_default_executor = _refused()
    run_forever = _refused()
    stop = _refused()

    getaddrinfo = _refused()
    getnameinfo = _refused()

    create_connection = _refused()
    create_server = _refused()
    create_datagram_endpoint = _refused()
    create_unix_connection = _refused()
    create_unix_server = _refused()
    connect_accepted_socket = _refused()
    start_tls = _refused()

    sendfile = _refused()
    connect_read_pipe = _refused()
    connect_write_pipe = _refused()
    subprocess_exec = _refused()
    subprocess_shell = _refused()

    sock_accept = _refused()
    sock_connect = _refused()
    sock_recv = _refused()
    sock_recv_into = _refused()
    sock_recvfrom = _refused()
    sock_recvfrom_into = _refused()
    sock_sendall = _refused()
    sock_sendto = _refused()
    sock_sendfile = _refused()

    add_reader = _refused()
    remove_reader = _refused()
    add_writer = _refused()
    remove_writer = _refused()
    add_signal_handler = _refused()
    remove_signal_handler = _refused()
