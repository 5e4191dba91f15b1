"""A client's transaction: snapshot reads, read and write sets, commit, retry.

`core.py` holds what both kinds share, `transaction.py` and `async_transaction.py` the two
kinds, `buffer.py` the write buffer and read-your-writes, `retry.py` when to try again.
"""

from fastness.transactions.async_transaction import AsyncKeyValueTransaction
from fastness.transactions.contract import Engine
from fastness.transactions.core import TransactionCore, TransactionState
from fastness.transactions.page import Page, Usage
from fastness.transactions.retry import TURN_MS, Retries
from fastness.transactions.transaction import KeyValueTransaction

__all__ = [
    "TURN_MS",
    "AsyncKeyValueTransaction",
    "Engine",
    "KeyValueTransaction",
    "Page",
    "Retries",
    "TransactionCore",
    "TransactionState",
    "Usage",
]
