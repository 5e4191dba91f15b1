"""Making a cluster and adding stores: what a repeat finishes, and what is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from msgspec import structs

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import ForeignStore, InvalidOption, Unreachable
from fastness.node import read_cluster
from fastness.operations.founding import Founded, add_store, found_cluster
from fastness.placement.cluster_view import decode_descriptor
from fastness.placement.coordinator import RANGES, STORES
from fastness.placement.membership import StoreRecord, stores_in
from tests.node.several import Town, living


class Cellar:
    """Databases by URL, each of which belongs to the first cluster that prepares it."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.away = False

    async def prepare(self, record: StoreRecord, cluster_id: str) -> StoreRecord:
        """As PostgreSQL does it."""
        if self.away:
            raise Unreachable("no primary answers: try again")
        if self.owners.setdefault(record.url, cluster_id) != cluster_id:
            raise ForeignStore(f"the store belongs to cluster {self.owners[record.url]}")
        return structs.replace(record, identity=f"id of {record.url}")


def store(name: str, url: str = "") -> StoreRecord:
    """A store that was not prepared yet."""
    return StoreRecord(name, url or f"postgresql://{name}/x")


def founding(scenario: Callable[[Town, Cellar], Awaitable[None]]) -> None:
    """Run a scenario with an empty coordinator."""

    async def main(town: Town) -> None:
        await scenario(town, Cellar())

    living(main)


def test_a_cluster_is_made_once() -> None:
    """Its record, its stores and its first ranges; a repeat finds them and changes nothing."""

    async def scenario(town: Town, cellar: Cellar) -> None:
        async def found() -> Founded:
            return await found_cluster(
                town.coordinator,
                [store("a"), store("b")],
                cellar.prepare,
                borders=[b"h", b"p"],
            )

        first = await found()
        assert first.created
        assert first.ranges == 3
        assert await read_cluster(town.coordinator) == first.cluster
        before = await town.coordinator.read("")
        again = await found()
        assert again == Founded(first.cluster, first.stores, 3, created=False)
        assert await town.coordinator.read("") == before
        _revision, entries = await town.coordinator.read(RANGES)
        ranges = [decode_descriptor(entry.value) for entry in entries.values()]
        assert [(one.begin, one.end, one.store) for one in ranges] == [
            (b"", b"h", "a"),
            (b"h", b"p", "b"),
            (b"p", SYSTEM_END, "a"),
        ]

    founding(scenario)


def test_what_was_interrupted_is_finished() -> None:
    """Where a store could not be prepared nothing is registered, and a repeat goes on."""

    async def scenario(town: Town, cellar: Cellar) -> None:
        cellar.away = True
        with pytest.raises(Unreachable):
            await found_cluster(town.coordinator, [store("a")], cellar.prepare)
        begun = await read_cluster(town.coordinator)
        _revision, entries = await town.coordinator.read(STORES)
        assert not entries
        cellar.away = False
        founded = await found_cluster(town.coordinator, [store("b")], cellar.prepare)
        assert founded.created
        assert founded.cluster == begun

    founding(scenario)


def test_two_clusters_share_nothing() -> None:
    """Neither a prefix of the coordinator nor a store."""

    async def scenario(town: Town, cellar: Cellar) -> None:
        await found_cluster(town.coordinator, [store("a")], cellar.prepare)
        for other in (store("b"), store("a", "postgresql://elsewhere/x")):
            with pytest.raises(InvalidOption, match="is at this prefix already, with the stores a"):
                await found_cluster(town.coordinator, [other], cellar.prepare)
        cellar.owners["postgresql://c/x"] = "another"
        with pytest.raises(ForeignStore, match="belongs to cluster another"):
            await add_store(town.coordinator, store("c"), cellar.prepare)

    founding(scenario)


@pytest.mark.parametrize(
    ("stores", "borders", "told"),
    [
        ([], [], "needs a store"),
        ([store("a b")], [], "store name 'a b'"),
        ([store("a"), store("b", "postgresql://a/x")], [], "one and the same database"),
        ([store("a")], [b"m", b"m"], "does not come after"),
        ([store("a")], [b""], "does not come after"),
        ([store("a")], [b"%04d" % one for one in range(98)], "99 first ranges and 1 stores"),
    ],
)
def test_bad_foundations(stores: list[StoreRecord], borders: list[bytes], told: str) -> None:
    """Each is refused before any range is written."""

    async def scenario(town: Town, cellar: Cellar) -> None:
        with pytest.raises(InvalidOption, match=told):
            await found_cluster(town.coordinator, stores, cellar.prepare, borders=borders)
        _revision, entries = await town.coordinator.read(RANGES)
        assert not entries

    founding(scenario)


def test_stores_are_added_and_moved() -> None:
    """A new name, the same again, another URL of the same database; not another's name or URL."""

    async def scenario(town: Town, cellar: Cellar) -> None:
        coordinator = town.coordinator
        with pytest.raises(InvalidOption, match="fastness cluster init"):
            await add_store(coordinator, store("a"), cellar.prepare)
        await found_cluster(coordinator, [store("a")], cellar.prepare)
        assert (await add_store(coordinator, store("b"), cellar.prepare)).change == "added"
        assert (await add_store(coordinator, store("b"), cellar.prepare)).change == "unchanged"

        async def the_same(record: StoreRecord, _cluster: str) -> StoreRecord:
            return structs.replace(record, identity="id of postgresql://b/x")

        moved = await add_store(coordinator, store("b", "postgresql://new/x"), the_same)
        assert moved.change == "changed"
        _revision, entries = await coordinator.read(STORES)
        assert stores_in(entries)["b"].url == "postgresql://new/x"
        for wrong in (store("b", "postgresql://a/x"), store("c", "postgresql://a/x")):
            with pytest.raises(InvalidOption, match="is not what it is called"):
                await add_store(coordinator, wrong, cellar.prepare)

    founding(scenario)
