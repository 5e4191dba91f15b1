"""Where things lie when all is quiet: nothing is left where no range answers for it.

Splits, merges and moves leave ranges behind in stores. In the end a range without a descriptor is
closed for good, so that no late writer can reach it; a store holds keys of its own ranges alone;
and every row of it is as the others say.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastness.placement.descriptors import Descriptor
from fastness.storage.contract import EPOCH_MAX
from fastness.testing.simulation.homes import Home
from fastness.testing.simulation.report import Finding
from fastness.testing.simulation.stores import SimulatedStore

KEYS_SHOWN = 3


def check_places(
    stores: Iterable[SimulatedStore], descriptors: Iterable[Descriptor]
) -> list[Finding]:
    """What lies where it should not; `descriptors` are all there are."""
    known = list(descriptors)
    found: list[Finding] = []
    for store in stores:
        here = [one for one in known if one.store == store.name]
        found += [
            Finding(
                "range-left-open",
                f"{store.name}: range {range_id} has no descriptor, and "
                f"may still be written at epoch {epoch}",
            )
            for range_id, epoch in store.home.epochs().items()
            if epoch != EPOCH_MAX and range_id not in {one.range_id for one in here}
        ]
        strays = sorted(_strays(store.home, here))
        if strays:
            what = f"{store.name} holds {len(strays)} keys of no range of its own"
            found.append(Finding("stray-keys", f"{what}: {strays[:KEYS_SHOWN]}"))
        found += [
            Finding("rows-disagree", f"{store.name}, {one.place}: {one.what}")
            for one in store.home.verify()
        ]
    return found


def _strays(home: Home, here: list[Descriptor]) -> set[bytes]:
    return {key for key in home.every_key() if not any(one.begin <= key < one.end for one in here)}
