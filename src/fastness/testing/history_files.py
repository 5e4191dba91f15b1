"""Histories as files of JSON lines, to keep a failing run and to judge it again elsewhere.

::

    {"format": "fastness-history", "version": 1, "transactions": 2}
    {"process": 0, "invoked": 1, "completed": 4, "outcome": "ok", "operations": [...]}
    {"process": 1, "invoked": 2, "completed": 5, "outcome": "unknown", "operations": [...]}

Operations are `["read", key, value]`, `["write", key, value]`, `["append", key, value]` and
`["cas", key, expected, value, swapped]`. A completion of `null` was never seen. The first line
counts the transactions, so that a file cut short is noticed. Everything that is not exactly so
raises `InvalidHistory` with its line; nothing is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from fastness.testing.history import (
    Append,
    CompareAndSet,
    History,
    InvalidHistory,
    Key,
    Operation,
    Outcome,
    Read,
    Scalar,
    Transaction,
    Value,
    Write,
)

FORMAT = "fastness-history"
VERSION = 1
FIELDS = {"process", "invoked", "completed", "outcome", "operations"}


def save_history(history: History, path: Path | str) -> None:
    """Write a history, replacing the file. `OSError` as from `open`."""
    header = {"format": FORMAT, "version": VERSION, "transactions": len(history)}
    with Path(path).open("w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        file.writelines(json.dumps(_encoded(transaction)) + "\n" for transaction in history)


def load_history(path: Path | str) -> History:
    """Read what `save_history` wrote. `InvalidHistory` on anything else, `OSError` as from `open`.

    Transactions must stand in the order of their invocation, as they are written.
    """
    with Path(path).open("rb") as file:
        lines = enumerate(file, start=1)
        number, first = next(lines, (1, b""))
        expected = _header(_parsed(first, number), number)
        history = History(_transactions(lines))
    if len(history) != expected:
        raise InvalidHistory(
            f"{path} announces {expected} transactions and holds {len(history)}: it was cut short "
            "or edited; restore it, or correct the count in its first line"
        )
    return history


def _encoded(transaction: Transaction) -> dict[str, object]:
    return {
        "process": transaction.process,
        "invoked": transaction.invoked,
        "completed": transaction.completed,
        "outcome": transaction.outcome.value,
        "operations": [_encoded_operation(operation) for operation in transaction.operations],
    }


def _encoded_operation(operation: Operation) -> list[object]:
    match operation:
        case Read(key, value):
            return ["read", key, value]
        case Write(key, value):
            return ["write", key, value]
        case Append(key, value):
            return ["append", key, value]
        case CompareAndSet(key, expected, value, swapped):
            return ["cas", key, expected, value, swapped]


def _parsed(line: bytes, number: int) -> dict[str, object]:
    """One line as a JSON object; the newline at its end proves that the line is whole."""
    if not line.endswith(b"\n"):
        raise InvalidHistory(
            f"line {number} ends without a newline: the file was cut short; record it again",
            line=number,
        )
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidHistory(
            f"line {number} is not JSON ({error}): {line[:80]!r}; restore the file",
            line=number,
        ) from error
    if not isinstance(parsed, dict):
        raise _wrong(number, "a JSON object", parsed)
    return parsed


def _header(header: dict[str, object], number: int) -> int:
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        raise _wrong(number, f"a header of format {FORMAT!r} and version {VERSION}", header)
    return _integer(header.get("transactions"), number, "a number of transactions")


def _transactions(lines: Iterator[tuple[int, bytes]]) -> Iterator[Transaction]:
    for index, (number, line) in enumerate(lines):
        yield _transaction(index, _parsed(line, number), number)


def _transaction(index: int, fields: dict[str, object], number: int) -> Transaction:
    if fields.keys() != FIELDS:
        raise _wrong(number, f"exactly the fields {sorted(FIELDS)}", sorted(fields))
    completed = fields["completed"]
    operations = fields["operations"]
    if not isinstance(operations, list):
        raise _wrong(number, "a list of operations", operations)
    return Transaction(
        index=index,
        process=_integer(fields["process"], number, "a process number"),
        invoked=_integer(fields["invoked"], number, "a time of invocation"),
        completed=None if completed is None else _integer(completed, number, "a completion time"),
        outcome=_outcome(fields["outcome"], number),
        operations=tuple(_operation(operation, number) for operation in operations),
    )


def _outcome(text: object, number: int) -> Outcome:
    try:
        return Outcome(text)
    except ValueError as error:
        raise _wrong(number, "an outcome ok, failed or unknown", text) from error


def _operation(fields: object, number: int) -> Operation:
    match fields:
        case ["read", key, value]:
            return Read(_key(key, number), _value(value, number))
        case ["write", key, value]:
            return Write(_key(key, number), _scalar(value, number))
        case ["append", key, value]:
            return Append(_key(key, number), _scalar(value, number))
        case ["cas", key, expected, value, bool() | None as swapped]:
            return CompareAndSet(
                _key(key, number), _scalar(expected, number), _scalar(value, number), swapped
            )
        case _:
            raise _wrong(number, "an operation such as ['read', key, value]", fields)


def _key(key: object, number: int) -> Key:
    if isinstance(key, str) or _is_integer(key):
        return key
    raise _wrong(number, "a key of type str or int", key)


def _value(value: object, number: int) -> Value:
    if isinstance(value, list):
        return tuple(_scalar(element, number) for element in value)
    return _scalar(value, number)


def _scalar(value: object, number: int) -> Scalar:
    if value is None or isinstance(value, str) or _is_integer(value):
        return value
    raise _wrong(number, "a value of type str, int or null", value)


def _integer(value: object, number: int, what: str) -> int:
    if _is_integer(value):
        return value
    raise _wrong(number, what, value)


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(number: int, expected: str, found: object) -> InvalidHistory:
    return InvalidHistory(
        f"line {number} should hold {expected}, and holds {found!r:.200}; restore the file",
        line=number,
    )
