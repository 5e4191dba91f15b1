"""The bank: money moves between accounts, and no snapshot may show more or less of it.

The plainest test of isolation, and the one whose failures need no theory: transfers keep the
total, so every transaction that reads all accounts must find exactly that total, and no account
below zero. It proves less than `list_append` (a database that always shows one old snapshot
passes), but it also judges services that cannot keep lists or unique values, and large reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastness.testing.history import (
    History,
    InvalidHistory,
    Key,
    Outcome,
    Read,
    Transaction,
    Write,
)
from fastness.testing.report import Anomaly, Report, shown_transaction

SUSPECTS_SHOWN: Final = 4

_TITLES: Final = {
    "wrong-total": "a snapshot shows money that is not there, or misses some",
    "negative-balance": "an account was overdrawn",
    "missing-account": "an account was absent",
}


def check_bank(history: History, *, accounts: Sequence[Key], total: int) -> Report:
    """Judge a history of transfers and snapshot reads over `accounts` that hold `total` together.

    Anomalies: `wrong-total` for an acknowledged transaction that read every account and found
    another sum, `negative-balance` and `missing-account` for any that found one. Only what a
    transaction read before it wrote the account counts. Accounts are expected to be
    filled before the history begins. Raises `InvalidHistory` for balances that are no integers.
    """
    report = Report.on("bank", history)
    wanted = set(accounts)
    for transaction in history:
        if transaction.outcome is Outcome.OK:
            found = _balances(transaction, wanted)
            _judge(report, transaction, found)
            balances = {key: value for key, value in found.items() if value is not None}
            if len(balances) == len(wanted):
                _judge_total(report, history, transaction, balances, total)
    return report


def _balances(transaction: Transaction, accounts: set[Key]) -> dict[Key, int | None]:
    """What the transaction found in each account before it wrote there."""
    found: dict[Key, int | None] = {}
    written: set[Key] = set()
    for operation in transaction.operations:
        if isinstance(operation, Write):
            written.add(operation.key)
        elif not isinstance(operation, Read):
            raise InvalidHistory(
                f"{transaction.name} holds {operation!r}, which is no read or write of an "
                "account; record balances as read and as written"
            )
        elif operation.key in accounts and operation.key not in written:
            if not isinstance(operation.value, int | None):
                raise InvalidHistory(
                    f"{transaction.name} read {operation.value!r} in {operation.key!r}, which is "
                    "no balance; record an integer, or None for an absent account"
                )
            found.setdefault(operation.key, operation.value)
    return found


def _judge(report: Report, transaction: Transaction, found: dict[Key, int | None]) -> None:
    for key, balance in found.items():
        if balance is None:
            what = f"{transaction.name} found no account {key}"
            report.add(_anomaly("missing-account", [transaction], (key,), what))
        elif balance < 0:
            what = f"{transaction.name} read {key} -> {balance}, below zero"
            report.add(_anomaly("negative-balance", [transaction], (key,), what))


def _judge_total(
    report: Report, history: History, transaction: Transaction, found: dict[Key, int], total: int
) -> None:
    difference = sum(found.values()) - total
    if difference == 0:
        return
    # Finding suspects reads the whole history: not for anomalies that are only counted.
    full = report.full("wrong-total")
    suspects = [] if full else _suspects(history, transaction, abs(difference))
    what = (
        f"{transaction.name} read {sum(found.values())} in all accounts together, "
        f"{abs(difference)} {'more' if difference > 0 else 'less'} than the {total} that every "
        "transfer keeps"
    )
    if suspects:
        what += "; open at the same time, and of that amount:"
    report.add(_anomaly("wrong-total", [transaction, *suspects], tuple(found), what))


def _suspects(history: History, reader: Transaction, amount: int) -> list[Transaction]:
    """Transfers of just this amount that the reader may have seen one half of."""
    suspects = []
    for one in history:
        overlaps = (one.completed is None or one.completed >= reader.invoked) and (
            reader.completed is None or one.invoked <= reader.completed
        )
        if one is not reader and overlaps and amount in _amounts(one):
            suspects.append(one)
            if len(suspects) == SUSPECTS_SHOWN:
                break
    return suspects


def _amounts(transaction: Transaction) -> set[int]:
    """By how much a transaction changed each account it both read and wrote."""
    before: dict[Key, int] = {}
    amounts = set()
    for operation in transaction.operations:
        if isinstance(operation, Read) and isinstance(operation.value, int):
            before.setdefault(operation.key, operation.value)
        elif isinstance(operation, Write) and isinstance(operation.value, int):
            amounts.add(abs(operation.value - before.get(operation.key, operation.value)))
    return amounts


def _anomaly(
    name: str, transactions: Sequence[Transaction], keys: tuple[Key, ...], what: str
) -> Anomaly:
    lines = [what, *(f"    {shown_transaction(one)}" for one in transactions)]
    indices = tuple(one.index for one in transactions)
    return Anomaly(name, _TITLES[name], indices, keys, "\n".join(lines))
