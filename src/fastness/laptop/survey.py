"""How the members of a cluster are, for a table."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fastness.laptop import processes
from fastness.laptop.cluster import LaptopCluster
from fastness.laptop.daemon import Daemon

ROLES = {
    "leader": "primary",
    "quorum_standby": "synchronous standby",
    "replica": "asynchronous standby",
}
"""Patroni's words, and what they mean here."""


class MemberState(msgspec.Struct, frozen=True, kw_only=True):
    """One member, now."""

    name: str
    role: str
    """etcd: leader, follower; a store: primary, standby; a node: how much it serves."""
    state: str
    """`ready`, `not ready` (it runs, and does not answer as it should) or `down`."""
    address: str
    """HOST:PORT for its clients."""
    looked_after_at: str
    """Where it tells of itself: etcd's peers, Patroni's API, a node's admin HTTP."""
    pids: list[int]
    memory_bytes: int
    """What processes share is counted once."""
    folder: str
    log: str


def survey(cluster: LaptopCluster) -> list[MemberState]:
    """Every member, in the order of starting."""
    return list(_states(cluster))


def _states(cluster: LaptopCluster) -> Iterator[MemberState]:
    for member in cluster.etcd:
        role = "leader" if member.is_leader() else "follower"
        place = member.place
        addresses = f"{place.host}:{place.client_port}", f"{place.host}:{place.peer_port}"
        yield _state(member.daemon, role, *addresses)
    for store in cluster.stores.values():
        roles = {one.name: ROLES.get(one.role, one.role) for one in store.roles()}
        for side in store.members:
            at = side.place
            addresses = f"{at.host}:{at.port}", f"http://{at.host}:{at.rest_port}"
            yield _state(side.daemon, roles.get(at.name, "unknown"), *addresses)
    for one in cluster.nodes:
        spot = one.place
        count = len(one.ranges())
        role = f"serves {count} {'range' if count == 1 else 'ranges'}"
        yield _state(one.daemon, role, spot.address, f"http://{spot.host}:{spot.admin_port}")


def _state(daemon: Daemon, role: str, address: str, looked_after_at: str) -> MemberState:
    pids = sorted(daemon.pids())
    running = daemon.is_running()
    return MemberState(
        name=daemon.name,
        role=role if running else "",
        state="ready" if running and daemon.is_ready() else "not ready" if pids else "down",
        address=address,
        looked_after_at=looked_after_at,
        pids=[daemon.pid, *(pid for pid in pids if pid != daemon.pid)] if running else pids,
        memory_bytes=sum(map(processes.proportional_bytes, pids)),
        folder=str(daemon.folder),
        log=str(daemon.log),
    )
