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

The checkers are independent of what they judge: of this package they import nothing but
`errors` and `invariants`. `docs/TESTING.md` tells what each proves and how to read its answer.
"""

from __future__ import annotations

from fastness.testing.bank import check_bank
from fastness.testing.drivers import (
    AsyncKeyValue,
    AsyncTransact,
    KeyValue,
    Transact,
    run_workload,
    run_workload_async,
)
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
from fastness.testing.list_append import check_list_append
from fastness.testing.read_write_registers import check_read_write_registers
from fastness.testing.registers import check_registers
from fastness.testing.report import Anomaly, Report
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
    "BankWorkload",
    "CompareAndSet",
    "Get",
    "History",
    "InvalidHistory",
    "Key",
    "KeyValue",
    "ListAppendWorkload",
    "OpenTransaction",
    "Operation",
    "Outcome",
    "Plan",
    "Program",
    "Put",
    "Read",
    "ReadWriteWorkload",
    "Recorder",
    "RegisterWorkload",
    "Report",
    "Scalar",
    "Transact",
    "Transaction",
    "Value",
    "Workload",
    "Write",
    "check_bank",
    "check_list_append",
    "check_read_write_registers",
    "check_registers",
    "load_history",
    "outcome_of",
    "run_workload",
    "run_workload_async",
    "save_history",
]
