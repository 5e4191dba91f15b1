"""What a node of a cluster stands on: its coordinator and its stores, opened by their URLs.

Both speak to servers by libraries that only a cluster needs: the extra `cluster`.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Protocol

from msgspec import structs

from fastness.errors import ForeignStore, InvalidOption, InvalidUrl
from fastness.hosting.store_health import StoreHealth
from fastness.limits import Limits
from fastness.node.stores import Opened
from fastness.placement.coordinator import Coordinator
from fastness.placement.membership import ClusterRecord, StoreRecord
from fastness.runtime.process import Process
from fastness.transport.network import NetworkProcess

ETCD = "etcd://"
POSTGRESQL = ("postgresql://", "postgres://")


class ClosableCoordinator(Coordinator, Protocol):
    """A coordinator over connections of its own."""

    async def close(self) -> None:
        """Close them."""
        ...


async def open_coordinator(process: Process, url: str, limits: Limits) -> ClosableCoordinator:
    """Reach the coordinator that a URL names; raises why it cannot be used."""
    if not url.startswith(ETCD):
        raise InvalidUrl(
            f"coordinator {_scheme(url)!r} is none that is known: write "
            "etcd://HOST:PORT[,HOST:PORT...]/PREFIX"
        )
    module = _needed("fastness.hosting.etcd")
    coordinator: ClosableCoordinator = await module.EtcdCoordinator.open(
        process, url, limits=limits
    )
    return coordinator


@asynccontextmanager
async def coordinator_of_tool(url: str, limits: Limits) -> AsyncIterator[ClosableCoordinator]:
    """The coordinator that a URL names, reached by a process of its own, as tools do."""
    process = NetworkProcess(limits=limits)
    try:
        coordinator = await open_coordinator(process, url, limits)
        try:
            yield coordinator
        finally:
            await coordinator.close()
    finally:
        await process.close()


async def open_store(
    process: Process, record: StoreRecord, cluster: ClusterRecord, limits: Limits
) -> Opened:
    """Open a store of a cluster; raises why it cannot be used.

    `ForeignStore` where another store of the same cluster answers at the URL: versions would be
    read and written where they do not belong.
    """
    store = await _postgres(record).PostgresStore.open(
        process,
        record.url,
        cluster_id=cluster.id,
        allow_unreplicated=record.allow_unreplicated,
        limits=limits,
    )
    if store.identity != record.identity:
        await store.close()
        raise ForeignStore(
            f"the store of this cluster with the id {store.identity} answers at the URL of store "
            f"{record.name!r}, whose id is {record.identity}: give each store its own URL"
        )
    survey = _needed("fastness.hosting.postgres.survey").survey
    return Opened(store, store.close, partial(survey, record.url))


async def prepare_store(record: StoreRecord, cluster_id: str) -> StoreRecord:
    """Make a store ready for a cluster, which it then belongs to; with its identity.

    May be repeated. Raises why it cannot be: above all `ForeignStore` where another cluster has
    it.
    """
    identity: str = await _postgres(record).PostgresStore.prepare(
        record.url, cluster_id, allow_unreplicated=record.allow_unreplicated
    )
    return structs.replace(record, identity=identity)


def members_of(url: str) -> list[str]:
    """The members of the etcd cluster that a coordinator's URL names, as HOST:PORT."""
    return [str(place) for place in _needed("fastness.hosting.etcd").parse_etcd_url(url).places]


async def try_member(process: Process, url: str, member: str) -> None:
    """See that one member serves the coordinator by itself; raises why not."""
    etcd = _needed("fastness.hosting.etcd")
    parsed = etcd.parse_etcd_url(url)
    alone = replace(parsed, places=tuple(one for one in parsed.places if str(one) == member))
    await (await etcd.EtcdCoordinator.open(process, alone)).close()


async def store_health(record: StoreRecord) -> StoreHealth:
    """How the servers of a store fare; raises why they cannot be asked."""
    _postgres(record)
    found: StoreHealth = await _needed("fastness.hosting.postgres.health").health(record.url)
    return found


def _postgres(record: StoreRecord) -> ModuleType:
    if not record.url.startswith(POSTGRESQL):
        raise InvalidUrl(
            f"store {record.name!r} has a URL {_scheme(record.url)!r}, which no kind of store has: "
            "write postgresql://HOST:PORT/DATABASE"
        )
    return _needed("fastness.hosting.postgres")


def _scheme(url: str) -> str:
    """As much of a URL as never holds a secret."""
    return url.partition("://")[0][:40] + ("://..." if "://" in url else "")


def _needed(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InvalidOption(
            f"a cluster needs the library {error.name}: install the extra, pip install "
            "'fastness[cluster]'"
        ) from error
