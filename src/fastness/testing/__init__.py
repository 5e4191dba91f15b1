"""History checkers and workloads: shipped, because services built on Fastness need them too.

Record what concurrent clients did, then have it judged::

    from fastness.testing import ListAppendWorkload, run_workload

    workload = ListAppendWorkload(seed=7, processes=8)
    history = run_workload(workload, database.run)
    workload.check(history).require_ok()      # raises, with the cycle explained

or record a service of your own with `Recorder` and choose a checker:

=============================  ==========================================================
`check_list_append`            lists read and appended to: exact, linear, the one to prefer
`check_read_write_registers`   registers, many in a transaction: sound, not complete
`check_registers`              single reads, writes, compare-and-sets: exact
`check_bank`                   a conserved total
=============================  ==========================================================

Where the database told its timestamps, record a `Ledger` (`RecordedDatabase` does) and play it
again in their order, or ask one thing of it:

=====================  ==================================================================
`check_replay`         everything read and written, in timestamp order: exact, linear
`check_change_log`     the change log holds every acknowledged commit, and no other
`check_counters`       atomic additions, each exactly once
`check_cached_reads`   reads without a timestamp, against real time
`check_time_travel`    the past does not change
`check_told`           what is told of a transaction's outcome is what became of it
`check_tokens`         long scans find every value once
`check_exclusion`      write skew and phantoms
`check_expiry`         values that expire, for everybody at one moment
`check_journals`       versionstamped entries that replay to the state
`check_pairs`          unique indexes, associations from both ends, totals
=====================  ==================================================================

`fastness.testing.simulation` runs whole clusters in a simulated world under faults.

The checkers are independent of what they judge: of this package they import nothing but
`errors` and `invariants`. `docs/TESTING.md` tells what each proves and how to read its answer.
"""

from __future__ import annotations

from fastness.testing.bank import check_bank
from fastness.testing.cached_reads import check_cached_reads
from fastness.testing.change_log import check_change_log, check_pages, resolve_by_log
from fastness.testing.counters import check_counters
from fastness.testing.drivers import (
    AsyncKeyValue,
    AsyncTransact,
    KeyValue,
    Transact,
    run_workload,
    run_workload_async,
)
from fastness.testing.exclusion import check_exclusion
from fastness.testing.expiry import check_expiry
from fastness.testing.history import (
    Append,
    CompareAndSet,
    History,
    InvalidHistory,
    Key,
    OpenTransaction,
    Operation,
    Outcome,
    Read,
    Recorder,
    Scalar,
    Transaction,
    Value,
    Write,
    outcome_of,
)
from fastness.testing.history_files import load_history, save_history
from fastness.testing.journals import check_journals
from fastness.testing.ledger import Attempt, Ledger
from fastness.testing.list_append import check_list_append
from fastness.testing.pairs import Beheld, check_pairs
from fastness.testing.read_write_registers import check_read_write_registers
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.registers import check_registers
from fastness.testing.replay import check_replay
from fastness.testing.report import Anomaly, Report
from fastness.testing.time_travel import check_time_travel
from fastness.testing.tokens import check_tokens
from fastness.testing.told import Told, check_told
from fastness.testing.workloads import (
    BankWorkload,
    Get,
    ListAppendWorkload,
    Plan,
    Program,
    Put,
    ReadWriteWorkload,
    RegisterWorkload,
    Workload,
)

__all__ = [
    "Anomaly",
    "Append",
    "AsyncKeyValue",
    "AsyncTransact",
    "Attempt",
    "BankWorkload",
    "Beheld",
    "CompareAndSet",
    "Get",
    "History",
    "InvalidHistory",
    "Key",
    "KeyValue",
    "Ledger",
    "ListAppendWorkload",
    "OpenTransaction",
    "Operation",
    "Outcome",
    "Plan",
    "Program",
    "Put",
    "Read",
    "ReadWriteWorkload",
    "RecordedDatabase",
    "RecordedTransaction",
    "Recorder",
    "RegisterWorkload",
    "Report",
    "Scalar",
    "Told",
    "Transact",
    "Transaction",
    "Value",
    "Workload",
    "Write",
    "check_bank",
    "check_cached_reads",
    "check_change_log",
    "check_counters",
    "check_exclusion",
    "check_expiry",
    "check_journals",
    "check_list_append",
    "check_pages",
    "check_pairs",
    "check_read_write_registers",
    "check_registers",
    "check_replay",
    "check_time_travel",
    "check_tokens",
    "check_told",
    "load_history",
    "outcome_of",
    "resolve_by_log",
    "run_workload",
    "run_workload_async",
    "save_history",
]
