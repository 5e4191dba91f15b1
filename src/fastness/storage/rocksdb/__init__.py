"""The RocksDB engine: `RocksStore` owns a directory, `InspectedStore` reads beside an owner."""

from fastness.storage.rocksdb.store import InspectedStore, RocksStore, verify_directory

__all__ = ["InspectedStore", "RocksStore", "verify_directory"]
