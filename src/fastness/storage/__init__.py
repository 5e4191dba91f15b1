"""The Store contract and its engines: memory and RocksDB."""

from fastness.storage.contract import (
    Batch,
    Change,
    CommittedWrites,
    Damage,
    Item,
    RangeState,
    Store,
    StoreSize,
)
from fastness.storage.faults import Faults, Step, no_faults
from fastness.storage.memory import MemoryStore
from fastness.storage.rocksdb import InspectedStore, RocksStore

__all__ = [
    "Batch",
    "Change",
    "CommittedWrites",
    "Damage",
    "Faults",
    "InspectedStore",
    "Item",
    "MemoryStore",
    "RangeState",
    "RocksStore",
    "Step",
    "Store",
    "StoreSize",
    "no_faults",
]
