"""One node of a cluster: a `Node` over a coordinator and stores that others share.

::

    ClusterNode
      Node           serves the wire protocol                          node.py
      StoreKeeper    opens what is registered at the coordinator       stores.py
      Coordinator    etcd, handed in                                   placement/coordinator.py
      RemoteStores   PostgreSQL clusters, opened by what is handed in  hosting/remote.py
      Process        how clients and the other nodes reach it          transport/

It starts only in a cluster that `init` has written, whose protocol it speaks, under a name that no
living node has. It is ready while its session lives; what it holds is the coordinator's affair. A
store that cannot be reached keeps nobody from serving the others.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastness.errors import FastnessError, InvalidOption, Unreachable
from fastness.limits import Limits
from fastness.node.counts import Counts
from fastness.node.gate import Gate
from fastness.node.node import Node
from fastness.node.stores import StoreKeeper, StoreOpener
from fastness.node.waiting import pause
from fastness.placement.coordinator import CLUSTER, Coordinator
from fastness.placement.membership import (
    ClusterRecord,
    StoreRecord,
    cluster_in,
    require_name,
    require_protocol,
)
from fastness.runtime.process import Address, Process
from fastness.wire.figures import StoreFigures
from fastness.wire.handshake import PROTOCOLS

READY_POLL_MS = 10.0
READY_MS_MAX = 30_000
"""How long a start may take."""
NAME_LEASES = 3
"""So many leases a start waits for the session of a node of its name that died to end."""


async def read_cluster(coordinator: Coordinator) -> ClusterRecord:
    """Which cluster a coordinator holds; raises where there is none, or none to join."""
    _revision, entries = await coordinator.read(CLUSTER)
    record = cluster_in(entries)
    if record is None:
        raise InvalidOption(
            "there is no cluster at this coordinator and prefix yet: create it once with "
            "'fastness cluster init', or mind the prefix"
        )
    require_protocol(record, PROTOCOLS)
    return record


class ClusterNode:
    """See the module's page. Made, used and stopped on one running loop."""

    def __init__(
        self,
        process: Process,
        coordinator: Coordinator,
        limits: Limits,
        *,
        cluster: ClusterRecord,
        open_store: StoreOpener,
        own_stores: Mapping[str, StoreRecord],
        name: str = "",
        gate: Gate | None = None,
    ) -> None:
        """`own_stores` are used in place of what is registered under their names."""
        if name:
            require_name(name, "node")
        self.cluster = cluster
        """Which cluster it is a node of."""
        self.name = name
        self._process = process
        self._limits = limits
        self._own_stores = own_stores
        self.keeper = StoreKeeper(
            process,
            coordinator,
            limits,
            open_store=open_store,
            own=own_stores,
            changed=self._look,
            is_used=self._holds_of,
        )
        self._drained = False
        self._stopped = False
        self.node = Node(process, coordinator, self.keeper.stores, limits, gate)
        self.node.join(name, self.keeper.problems, self.keeper.samples)

    def _holds_of(self, store: str) -> bool:
        node = self.node
        return any(node.store_of(range_id) == store for range_id in node.leaseholders)

    def _look(self) -> None:
        self.node.look()

    @property
    def address(self) -> Address:
        """Where it is reached."""
        return self.node.address

    @property
    def counts(self) -> Counts:
        """What it has counted since it started."""
        counts, pool = self.node.counts, self.keeper.remembered
        counts.remembered_hits, counts.remembered_misses = pool.counts.hits, pool.counts.misses
        counts.remembered_evictions = pool.counts.evictions
        counts.remembered_unfit = pool.counts.unfit
        return counts

    @property
    def is_ready(self) -> bool:
        """Whether its session lives, so that it serves what it holds and leads to the rest."""
        return not (self._drained or self._stopped) and self.node.is_in_service

    @property
    def write_refusal(self) -> FastnessError | None:
        """Why one of its stores takes no writes for now; reads go on."""
        refusals = (store.refusal for store in self.keeper.stores.values())
        return next((one for one in refusals if one is not None), None)

    def store_figures(self) -> StoreFigures | None:
        """Nothing: it has several stores, and shares them."""
        return None

    async def start(self) -> None:
        """Serve; returns once it is ready. Raises why it must not, or cannot within the bound."""
        await self.keeper.look()
        for name in self._own_stores:
            if name not in self.keeper.records:
                known = ", ".join(self.keeper.records) or "none"
                raise InvalidOption(
                    f"store {name!r} is not registered in this cluster ({known}): register it with "
                    "'fastness cluster add-store', or leave it out"
                )
        # They end with the process.
        _run = self._process.spawn(self.keeper.run(), name="stores")
        _survey = self._process.spawn(self.keeper.survey(), name="survey")
        self.node.start()
        waited_ms = 0.0
        while not (self.is_ready and self.keeper.is_settled):
            self._require_hope(waited_ms)
            await pause(self._process, READY_POLL_MS)
            waited_ms += READY_POLL_MS
        self._require_usable_stores()

    def _require_hope(self, waited_ms: float) -> None:
        """Raise once there is no use in waiting any longer for the start to succeed."""
        self._require_usable_stores()
        refusal = self.node.session_refusal
        if refusal is not None and waited_ms > NAME_LEASES * self._limits.lease_ms:
            raise refusal
        if waited_ms > READY_MS_MAX:
            missing = [name for name in self.keeper.records if name not in self.keeper.stores]
            told = f"; stores that did not open: {', '.join(missing)}" if missing else ""
            raise Unreachable(
                f"the node did not come into service within {READY_MS_MAX} ms{told}: see its log, "
                "and whether the coordinator answers"
            )

    def _require_usable_stores(self) -> None:
        """Raise for a store that no waiting makes usable: wrong settings, another cluster's."""
        for name, error in self.keeper.problems.items():
            if not error.retryable:
                raise type(error)(f"store {name}: {error}")

    async def drain(self) -> None:
        """Hand everything over to the other nodes, and end the session."""
        await self.node.drain()
        self._drained = True

    async def stop(self) -> None:
        """Serve nothing any more, close the stores. What was not handed over others claim in time.

        Idempotent. Process and coordinator are the caller's to close.
        """
        if self._stopped:
            return
        self._stopped = True
        self.node.stop()
        await self.keeper.close()
