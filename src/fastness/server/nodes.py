"""The node of a server: over a directory of this machine, or one of a cluster, as settings say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

from fastness.errors import FastnessError
from fastness.node import ClusterNode, Gate, ServerNode, read_cluster
from fastness.node.stores import Opened
from fastness.placement.membership import StoreRecord
from fastness.server.authentication import Authenticator
from fastness.server.certificates import client_context
from fastness.server.clustered import open_coordinator, open_store
from fastness.server.naming import own_stores
from fastness.server.settings import Settings
from fastness.server.store_watch import StoreTimes
from fastness.storage import MemoryStore, RocksStore, Store
from fastness.transport.network import NetworkProcess

MEMORY = "memory:"
"""Instead of a directory: a database that is gone with its server, for trying and for tests."""

ServedNode = ServerNode | ClusterNode


async def single_node(
    settings: Settings, process: NetworkProcess, gate: Gate, watch: StoreTimes
) -> ServerNode:
    """A node over a directory, which is opened; not started yet."""
    opener = _directory_opener(settings)
    return ServerNode(
        process,
        await _opened(opener),
        settings.limits,
        gate=gate,
        reopen=None if settings.directory == MEMORY else opener,
        watch=watch,
    )


def _directory_opener(settings: Settings) -> Callable[[], Store]:
    """Opens what `directory` names."""
    if settings.directory == MEMORY:
        return MemoryStore
    directory = Path(settings.directory.removeprefix("file:"))
    return partial(RocksStore.open, directory, limits=settings.limits)


async def _opened(open_directory: Callable[[], Store]) -> Store:
    """The store, opened on a thread: after a crash it reads its log again, and the loop turns.

    A start that is ended meanwhile waits for it and closes it.
    """
    opening = asyncio.ensure_future(asyncio.to_thread(open_directory))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(FastnessError):
            (await opening).close()
        raise


async def cluster_node(
    settings: Settings,
    process: NetworkProcess,
    gate: Gate,
    authenticator: Authenticator,
    stack: AsyncExitStack,
) -> ClusterNode:
    """A node of the cluster that the coordinator names; not started yet.

    From now on the other nodes are let in, and dialed as one of them. The coordinator is closed
    with `stack`.
    """
    limits = settings.limits
    coordinator = await open_coordinator(process, settings.coordinator, limits)
    stack.push_async_callback(coordinator.close)
    cluster = await read_cluster(coordinator)
    authenticator.admit_nodes(cluster.secret)
    process.credential = cluster.secret
    process.tls = client_context(settings.tls)

    async def opener(record: StoreRecord) -> Opened:
        return await open_store(process, record, cluster, limits)

    return ClusterNode(
        process,
        coordinator,
        limits,
        cluster=cluster,
        open_store=opener,
        own_stores=own_stores(settings.stores),
        name=settings.name,
        gate=gate,
    )
