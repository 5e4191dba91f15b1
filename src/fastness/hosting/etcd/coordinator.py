"""The coordinator of a cluster: etcd, version 3.4 or newer.

::

    coordinator = await EtcdCoordinator.open(process, "etcd://h1:2379,h2:2379/prefix")
    ...
    await coordinator.close()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastness.hosting.etcd.urls import EtcdUrl
from fastness.limits import Limits
from fastness.placement.coordinator import Entry, Put
from fastness.runtime.process import Process, Timer


class EtcdCoordinator:
    """A `Coordinator` over etcd; see the module's page. Made by `open`."""

    @classmethod
    async def open(
        cls, process: Process, url: str | EtcdUrl, *, limits: Limits | None = None
    ) -> EtcdCoordinator:
        """Reach the cluster and see that it can be used.

        `InvalidUrl`, `InvalidOption` (TLS files), `Unreachable` (no member answers),
        `Unauthenticated` and `PermissionDenied` (user, password, its role), `ProtocolMismatch`
        (a version of etcd that is too old, or loses writes).
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close every connection. Sessions run out by themselves."""
        raise NotImplementedError

    async def open_session(self, ttl_ms: int) -> int:
        """A new session that ends unless kept alive within `ttl_ms`; its id, never 0."""
        raise NotImplementedError

    async def keep_alive(self, session: int) -> bool:
        """Let the session live for its whole time from when this arrives; `False`: it ended."""
        raise NotImplementedError

    async def end_session(self, session: int) -> None:
        """End it now, and remove the keys bound to it."""
        raise NotImplementedError

    async def read(self, prefix: str) -> tuple[int, dict[str, Entry]]:
        """The current revision and every entry whose key begins with `prefix`; linearizable."""
        raise NotImplementedError

    async def write(
        self, compare: Mapping[str, int], puts: list[Put], deletes: tuple[str, ...] = ()
    ) -> int | None:
        """Write atomically if each key of `compare` is at that revision; the new one, or `None`."""
        raise NotImplementedError

    def watch(self, prefix: str, changed: Callable[[], None]) -> Timer:
        """Call `changed` some time after anything under the prefix did; best effort, coalesced."""
        raise NotImplementedError
