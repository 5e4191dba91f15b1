"""The cluster as faults see it: who serves which range, who issues timestamps, who leads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from msgspec import structs

from fastness.errors import Unreachable
from fastness.laptop.cluster import LaptopCluster
from fastness.operations.control import Control
from fastness.placement.descriptors import Descriptor
from fastness.testing.chaos.clocks import Clocks
from fastness.testing.chaos.disks import Disks
from fastness.testing.chaos.network import Network


class Sight(NamedTuple):
    """The map of ranges at one moment, as the coordinator has it."""

    ranges: Sequence[Descriptor]
    """Each with the name of its holder in the place of the address."""
    oracle: str
    """The node that issues timestamps, empty while nobody does."""


class Touch(NamedTuple):
    """Which ranges a fault may stop for a while. The others must go on."""

    nodes: frozenset[str] = frozenset()
    """The ranges that they hold. Where one issues timestamps, every range."""
    stores: frozenset[str] = frozenset()
    both: bool = False
    """Only ranges that such a node holds in such a store: what passes between the two stops."""
    everything: bool = False

    def keys_of(self, sight: Sight, keys: Collection[bytes]) -> set[bytes]:
        """The keys among these whose range is touched."""
        if self.everything or (sight.oracle in self.nodes and not self.both):
            return set(keys)
        return {
            key
            for key in keys
            if any(one.begin <= key < one.end and self._hits(one) for one in sight.ranges)
        }

    def _hits(self, one: Descriptor) -> bool:
        ours = one.holder in self.nodes, one.store in self.stores
        return all(ours) if self.both else any(ours)


@dataclass(slots=True)
class Arena:
    """The cluster, and the choices of one run."""

    cluster: LaptopCluster
    random: Random
    sight: Sight = field(default_factory=lambda: Sight((), ""))
    """As it was just before the blow."""
    network: Network | None = None
    clocks: Clocks | None = None
    disks: Disks | None = None

    def touch_of(self, name: str) -> Touch:
        """What the loss of a node, or of a server of a store, may stop."""
        if name in {node.place.name for node in self.cluster.nodes}:
            return Touch(nodes=frozenset({name}))
        return Touch(stores=frozenset({name.rpartition("-")[0]}))

    def node(self) -> str:
        """A node that has something to do: it holds ranges, or issues timestamps."""
        busy = {one.holder for one in self.sight.ranges} | {self.sight.oracle}
        names = [one.place.name for one in self.cluster.nodes]
        return self.random.choice([name for name in names if name in busy] or names)

    def store(self) -> str:
        """A store."""
        return self.random.choice(list(self.cluster.stores))

    def standby(self, store: str) -> str:
        """A standby of a store."""
        return self.random.choice(self.cluster.standbys_of(store))

    def postmaster(self, name: str) -> int:
        """The process id of the PostgreSQL of a store's server, 0 where there is none."""
        sides = (side for store in self.cluster.stores.values() for side in store.members)
        return next(side.postgres_pid() for side in sides if side.place.name == name)

    def etcd_follower(self) -> str:
        """A member of etcd that does not lead."""
        leader = self.cluster.etcd_leader()
        names = [one.place.name for one in self.cluster.etcd if one.place.name != leader]
        if not names:
            raise Unreachable(f"etcd has no member beside {leader}")
        return self.random.choice(names)


async def look(control: Control) -> Sight:
    """The map now."""
    seen = await control.look(reports=False)
    names = {node.address: node.name for node in seen.nodes}
    ranges = [structs.replace(one, holder=names.get(one.holder, "")) for one in seen.ranges]
    return Sight(ranges, names.get(seen.oracle, ""))
