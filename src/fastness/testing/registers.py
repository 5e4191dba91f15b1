"""Linearizability of single registers: read, write and compare-and-set.

Each key is judged by itself, which decides the whole (linearizability is local: Herlihy & Wing,
"Linearizability", 1990, theorem 1). The answer is exact: a history passes if and only if every
key's operations can be ordered so that each takes effect between its invocation and its return
and every answer fits. Operations of unknown outcome may take effect at any time after their
invocation, or never.

The effort grows with the operations open at once on one key and with the unknown outcomes that
somebody saw, not with the length of the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastness.testing._register_search import Call, Order, Stuck, search
from fastness.testing.history import (
    Append,
    CompareAndSet,
    History,
    InvalidHistory,
    Key,
    Operation,
    Outcome,
    Scalar,
    Transaction,
    Value,
    Write,
)
from fastness.testing.report import (
    Anomaly,
    Report,
    shown_operation,
    shown_transaction,
    shown_value,
)

SITUATIONS_SHOWN: Final = 6
ORDER_SHOWN: Final = 8

_TITLE: Final = "no order of a register's operations fits their answers and times"


def check_registers(history: History, *, initial: Mapping[Key, Scalar] | None = None) -> Report:
    """Judge a history whose transactions hold one `Read`, `Write` or `CompareAndSet` each.

    Keys hold `None`, or what `initial` gives them, at first. The only anomaly is
    `nonlinearizable`, at most once for each key. Raises `InvalidHistory` for other transactions,
    `LimitExceeded` where too many operations on one key were open at once.
    """
    report = Report.on("registers", history)
    for key, calls in _calls_by_key(history).items():
        stuck = search(calls, None if initial is None else initial.get(key))
        if stuck is not None:
            involved = _involved(stuck)
            text = _explanation(history, key, stuck)
            report.add(Anomaly("nonlinearizable", _TITLE, involved, (key,), text))
    return report


def _calls_by_key(history: History) -> dict[Key, list[Call]]:
    calls: dict[Key, list[Call]] = {}
    for transaction in history:
        if not transaction.operations and transaction.outcome is not Outcome.OK:
            continue
        operation = _only_operation(transaction)
        if transaction.outcome is not Outcome.FAILED:
            completed = transaction.completed if transaction.outcome is Outcome.OK else None
            call = Call(transaction.index, transaction.invoked, completed, operation)
            calls.setdefault(operation.key, []).append(call)
    return calls


def _only_operation(transaction: Transaction) -> Operation:
    if len(transaction.operations) != 1 or isinstance(transaction.operations[0], Append):
        raise InvalidHistory(
            f"{transaction.name} holds {transaction.operations!r:.200}, and not one read, write or "
            "compare-and-set; judge transactions with check_read_write_registers or "
            "check_list_append"
        )
    operation = transaction.operations[0]
    answered = transaction.outcome is Outcome.OK
    if answered and isinstance(operation, CompareAndSet) and operation.swapped is None:
        raise InvalidHistory(
            f"{transaction.name} was acknowledged, but its compare-and-set has no answer; record "
            "swapped=True or False"
        )
    return operation


def _involved(stuck: Stuck) -> tuple[int, ...]:
    """The call that cannot be placed, and the last change of each situation."""
    changes = (_last_change(situation.order) for situation in stuck.situations)
    return tuple(sorted({stuck.call.index, *(one.index for one in changes if one is not None)}))


def _last_change(order: Order) -> Call | None:
    while order is not None:
        call, order = order
        if call.changes:
            return call
    return None


def _explanation(history: History, key: Key, stuck: Stuck) -> str:
    call = stuck.call
    lines = [
        f"the operations on {key} up to {call.completed}, when T{call.index} returned",
        f"    {shown_transaction(history[call.index])}",
        f"  can be ordered without T{call.index}, but then {key} holds",
    ]
    seen: set[tuple[Value, tuple[int, ...]]] = set()
    for situation, candidates in zip(stuck.situations, stuck.candidates, strict=True):
        case = (situation.state, tuple(one.index for one in candidates))
        if case not in seen and len(seen) < SITUATIONS_SHOWN:
            lines.append(f"    {shown_value(situation.state)}, {_after(situation.order)}")
            lines += [f"        {_obstacle(one, situation.state)}" for one in candidates]
        seen.add(case)
    if len(seen) > SITUATIONS_SHOWN:
        lines.append(f"    or what {len(seen) - SITUATIONS_SHOWN} more orders leave, as useless")
    lines.append(f"  {_origin(history, key, call.operation)}")
    return "\n".join(lines)


def _after(order: Order) -> str:
    names: list[str] = []
    while order is not None and len(names) < ORDER_SHOWN:
        call, order = order
        names.append(f"T{call.index}")
    if not names:
        return "as at first"
    return f"after {'.. ' if order is not None else ''}{' '.join(names[::-1])}"


def _obstacle(call: Call, state: Value) -> str:
    """Why a call cannot be next, or what it leads to."""
    what = f"T{call.index} {shown_operation(call.operation)}"
    fits, leaves = call.result(state)
    if fits:
        return f"{what}: may be next, and leaves {shown_value(leaves)}"
    return f"{what}: cannot be next, {call.operation.key} holds {shown_value(state)}"


def _origin(history: History, key: Key, operation: Operation) -> str:
    """Who wrote what the call found."""
    found = operation.expected if isinstance(operation, CompareAndSet) else operation.value
    writers = [
        shown_transaction(one)
        for one in history
        if any(
            isinstance(done, Write | CompareAndSet)
            and (done.key, done.value) == (key, found)
            and not (isinstance(done, CompareAndSet) and done.swapped is False)
            for done in one.operations
        )
    ]
    if not writers:
        return f"nobody wrote {shown_value(found)}"
    return f"{shown_value(found)} was written by\n    " + "\n    ".join(writers[:3])
