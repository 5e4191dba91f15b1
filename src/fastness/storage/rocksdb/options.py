"""How the tables are opened: every setting of RocksDB that differs from its default, and why.

`rocksdict` offers most settings as methods. One that durability needs it does not offer, so
the options start from a small options file, which it can load. `base_options/` says

* `track_and_verify_wals_in_manifest`: a log file that is missing, or shorter than it was
  when it was finished, refuses to open instead of opening with less in it;
* `wal_recovery_mode=kTolerateCorruptedTailRecords`: a checksum that fails anywhere in the log
  refuses to open. The default (point in time) would silently drop the damaged record and all
  after it. A last record that is cut short is accepted: it is a write that was never
  acknowledged. (`fastness.storage.rocksdb.high_water` refuses it where it was.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DataBlockIndexType,
    DBCompressionType,
    DBRecoveryMode,
    Options,
)

from fastness.limits import KIB, MIB, Limits
from fastness.storage.layout import Table

FAMILIES = {table: table.name.lower() for table in Table}
"""The column family of each table."""

ESTIMATE_CHARGES = 0
"""Lets the block cache find out by itself how large its entries are."""

OPEN_FILES = 512
BLOOM_BITS = 10
INFO_LOG_BYTES = 1 * MIB
INFO_LOG_FILES = 3
MANIFEST_BYTES = 16 * MIB

_BASE = Path(__file__).with_name("base_options")


@dataclass(frozen=True, slots=True)
class TableOptions:
    """The options of the database and of each column family."""

    database: Options
    families: dict[str, Options]
    write_buffer_bytes: int


def table_options(
    limits: Limits,
    *,
    create: bool = False,
    for_inspection: bool = False,
    up_to_damage: bool = False,
) -> TableOptions:
    """Options for opening the tables.

    `create` makes a new database; without it a missing one is an error, never an empty one.
    `for_inspection` opens every table file at once, since its owner may delete it any time.
    `up_to_damage` reads a log up to where it is damaged: for naming the place, never for
    serving.
    """
    # Not the LRU cache: that is cut into 64 shards, and the filter of a table of a million
    # keys, which no longer fits into one, would be read from disk again at every get.
    cache = Cache.new_hyper_clock_cache(limits.block_cache_bytes, ESTIMATE_CHARGES)
    open_files = -1 if for_inspection else OPEN_FILES

    def base() -> Options:
        options = Options.load_latest(str(_BASE))[0]
        if up_to_damage:
            options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
        options.create_if_missing(create)
        options.create_missing_column_families(create)
        _bound_sizes(options, limits, open_files)
        return options

    families = {name: base() for name in FAMILIES.values()}
    for table, name in FAMILIES.items():
        families[name].set_block_based_table_factory(_blocks(cache, points=table == Table.NEWEST))
    return TableOptions(base(), families, limits.write_buffer_bytes)


def _bound_sizes(options: Options, limits: Limits, open_files: int) -> None:
    """Memory, files, logs: nothing grows with the data or with time."""
    options.set_db_write_buffer_size(limits.write_buffer_bytes)
    # One buffer is being written to a table file, others wait, before writes must.
    options.set_write_buffer_size(limits.write_buffer_bytes // 2)
    options.set_max_write_buffer_number(4)
    options.set_level_zero_slowdown_writes_trigger(40)
    options.set_level_zero_stop_writes_trigger(60)
    # What a reopening after a crash has to replay.
    options.set_max_total_wal_size(limits.write_buffer_bytes)
    options.set_max_open_files(open_files)
    options.set_max_log_file_size(INFO_LOG_BYTES)
    options.set_keep_log_file_num(INFO_LOG_FILES)
    options.set_max_manifest_file_size(MANIFEST_BYTES)
    options.set_manifest_preallocation_size(64 * KIB)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    # Spread the writing of tables, so that the log's fsync never waits behind all of it.
    options.set_bytes_per_sync(1 * MIB)
    options.set_max_background_jobs(2)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_level_compaction_dynamic_level_bytes(True)
    # One thread writes at a time.
    options.set_allow_concurrent_memtable_write(False)
    options.set_enable_write_thread_adaptive_yield(False)


def _blocks(cache: Cache, *, points: bool) -> BlockBasedOptions:
    """How table files are cut into blocks; `points` for a table that is looked up by key."""
    blocks = BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_block_size(4 * KIB if points else 16 * KIB)
    blocks.set_format_version(5)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    if points:
        blocks.set_bloom_filter(BLOOM_BITS, block_based=False)
        blocks.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
    return blocks
