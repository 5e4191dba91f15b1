"""Making the cluster that nodes serve: written at the coordinator and in the stores, once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from fastness.limits import Limits
from fastness.operations.founding import add_store, found_cluster
from fastness.placement.coordinator import STORES
from fastness.placement.membership import StoreRecord, stores_in
from fastness.server.clustered import coordinator_of_tool, prepare_store


def ensure_founded(coordinator: str, stores: Mapping[str, str], borders: Sequence[bytes]) -> None:
    """Make the cluster of these stores (name: URL), or add those that it does not have yet.

    A new cluster's keys are divided at `borders`, over the stores in turn.
    """
    # Whoever calls may be in a loop of its own.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _ensure(coordinator, stores, borders)).result()


async def _ensure(coordinator: str, stores: Mapping[str, str], borders: Sequence[bytes]) -> None:
    records = [StoreRecord(name, url) for name, url in stores.items()]
    async with coordinator_of_tool(coordinator, Limits()) as reached:
        _revision, entries = await reached.read(STORES)
        if not stores_in(entries):
            await found_cluster(reached, records, prepare_store, borders=borders)
            return
        for record in records:
            await add_store(reached, record, prepare_store)
