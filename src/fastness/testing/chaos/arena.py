"""The cluster as faults see it: who serves which range, who issues timestamps, who leads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from fastness.errors import Unreachable
from fastness.laptop.cluster import LaptopCluster
from fastness.operations.control import Control
from fastness.placement.descriptors import Descriptor


class Sight(NamedTuple):
    """The map of ranges at one moment, as the coordinator has it."""

    ranges: Sequence[Descriptor]
    oracle: str
    """The address of who issues timestamps, empty while nobody does."""


class Touch(NamedTuple):
    """Which ranges a fault may stop for a while. The others must go on."""

    nodes: frozenset[str] = frozenset()
    """Addresses: the ranges that they hold. Where one issues timestamps, every range."""
    stores: frozenset[str] = frozenset()
    everything: bool = False

    def keys_of(self, sight: Sight, keys: Collection[bytes]) -> set[bytes]:
        """The keys among these whose range is touched."""
        if self.everything or sight.oracle in self.nodes:
            return set(keys)
        hit = [one for one in sight.ranges if one.holder in self.nodes or one.store in self.stores]
        return {key for key in keys if any(one.begin <= key < one.end for one in hit)}


@dataclass(slots=True)
class Arena:
    """The cluster, and the choices of one run."""

    cluster: LaptopCluster
    random: Random
    sight: Sight = field(default_factory=lambda: Sight((), ""))
    """As it was just before the blow."""

    def node(self) -> str:
        """A node that has something to do: it holds ranges, or issues timestamps."""
        busy = {one.holder for one in self.sight.ranges} | {self.sight.oracle}
        names = [one.place.name for one in self.cluster.nodes]
        wanted = [name for name in names if self.address(name) in busy]
        return self.random.choice(wanted or names)

    def address(self, node: str) -> str:
        """Where a node is reached."""
        return next(one.place.address for one in self.cluster.nodes if one.place.name == node)

    def store(self) -> str:
        """A store."""
        return self.random.choice(list(self.cluster.stores))

    def standby(self, store: str) -> str:
        """A standby of a store."""
        return self.random.choice(self.cluster.standbys_of(store))

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
    return Sight(seen.ranges, seen.oracle)
