"""The Store contract and its engines: memory and RocksDB."""

from fastness.storage.contract import (
    EPOCH_MAX,
    Batch,
    Change,
    CommittedWrites,
    Damage,
    Inherited,
    Item,
    RangeState,
    Store,
    StoreSize,
)
from fastness.storage.faults import Faults, Step, no_faults
from fastness.storage.memory import MemoryStore
from fastness.storage.rocksdb import InspectedStore, RocksStore

__all__ = [
    "EPOCH_MAX",
    "Batch",
    "Change",
    "CommittedWrites",
    "Damage",
    "Faults",
    "Inherited",
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
