"""A weakness planted in a real cluster, which the judges must notice.

`asynchronous`: every store acknowledges before a standby has a commit, and the nodes are told by
name to put up with it. Then a primary that is lost with its data takes acknowledged commits along.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable

from msgspec import structs

from fastness.errors import Unreachable
from fastness.laptop.cluster import LaptopCluster
from fastness.laptop.patroni import Store
from fastness.limits import Limits
from fastness.operations.founding import add_store
from fastness.placement.coordinator import STORES
from fastness.placement.membership import stores_in
from fastness.server.clustered import coordinator_of_tool, prepare_store

ASK_S = 10.0


def _asynchronous(cluster: LaptopCluster) -> None:
    """Allowed first: a node refuses a store that is not synchronous and need not be."""
    asyncio.run(_allow(cluster.coordinator))
    for node in cluster.nodes:
        # They know a store as it was when they opened it.
        cluster.stop_member(node.place.name)
        cluster.resume(node.place.name)
        node.daemon.await_ready()
    for store in cluster.stores.values():
        _configure(store, {"synchronous_mode": False, "synchronous_mode_strict": False})


async def _allow(coordinator: str) -> None:
    async with coordinator_of_tool(coordinator, Limits()) as reached:
        _revision, entries = await reached.read(STORES)
        for record in stores_in(entries).values():
            allowed = structs.replace(record, allow_unreplicated=True)
            await add_store(reached, allowed, prepare_store)


def _configure(store: Store, settings: dict[str, object]) -> None:
    """Change what Patroni keeps in etcd of a store."""
    primary = store.primary()
    if primary is None:
        raise Unreachable(f"{store.name} has no primary now, whose Patroni could be told")
    place = primary.place
    request = urllib.request.Request(
        f"http://{place.host}:{place.rest_port}/config",
        data=json.dumps(settings).encode(),
        headers={"Content-Type": "application/json"},
        method="PATCH",
    )
    with urllib.request.urlopen(request, timeout=ASK_S):  # noqa: S310 - as above
        pass


def is_up(cluster: LaptopCluster) -> bool:
    """Whether every member is ready and every standby follows, be it synchronously or not."""
    return all(daemon.is_ready() for daemon in cluster.daemons.values()) and all(
        store.primary() is not None
        and all(role.role == "leader" or role.state == "streaming" for role in store.roles())
        for store in cluster.stores.values()
    )


PLANTS: dict[str, Callable[[LaptopCluster], None]] = {"asynchronous": _asynchronous}
"""Every weakness by name."""
