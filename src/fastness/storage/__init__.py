"""The Store contract and its engines: memory and RocksDB."""

from fastness.storage.contract import (
    EPOCH_MAX,
    Batch,
    Change,
    CommittedWrites,
    Damage,
    Inherited,
    Item,
    KeyVersions,
    Load,
    Portion,
    RangeState,
    Selection,
    Store,
    StoreSize,
    Version,
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
    "KeyVersions",
    "Load",
    "MemoryStore",
    "Portion",
    "RangeState",
    "RocksStore",
    "Selection",
    "Step",
    "Store",
    "StoreSize",
    "Version",
    "no_faults",
]
