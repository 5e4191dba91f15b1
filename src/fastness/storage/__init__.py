"""The Store contract and its engines: memory and RocksDB."""
