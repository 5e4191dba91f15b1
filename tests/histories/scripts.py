"""Histories written down by hand, in the words explanations use.

process 0, 1..4:  append x 1; read y -> [2 3]
process 1, 2..? unknown:  write x 5; read y -> nothing
process 2, 3..6 failed:  cas x 1 to 2 -> refused
"""

from __future__ import annotations

import re

from fastness.testing import (
    Append,
    CompareAndSet,
    History,
    Operation,
    Outcome,
    Read,
    Scalar,
    Transaction,
    Value,
    Write,
)

LINE = re.compile(
    r"process (?P<process>\d+), (?P<invoked>\d+)\.\.(?P<completed>\d+|\?)"
    r"(?: (?P<outcome>failed|unknown))?: *(?P<operations>.*)"
)
SWAPPED = {"done": True, "refused": False, "unknown": None}


def parse(text: str) -> History:
    """A history of one transaction a line, numbered in the order of invocation."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return History.of(_transaction(line) for line in lines)


def _transaction(line: str) -> Transaction:
    match = LINE.fullmatch(line)
    assert match is not None, f"not a transaction: {line!r}"
    completed = match["completed"]
    return Transaction(
        index=0,
        process=int(match["process"]),
        invoked=int(match["invoked"]),
        completed=None if completed == "?" else int(completed),
        outcome=Outcome(match["outcome"] or "ok"),
        operations=tuple(_operation(part) for part in match["operations"].split("; ") if part),
    )


def _operation(text: str) -> Operation:
    kind, key, rest = text.split(" ", 2)
    if kind == "read":
        return Read(key, _value(rest.removeprefix("-> ")))
    if kind == "append":
        return Append(key, _scalar(rest))
    if kind == "write":
        return Write(key, _scalar(rest))
    expected, _, value, _, answer = rest.split()
    return CompareAndSet(key, _scalar(expected), _scalar(value), SWAPPED[answer])


def _value(text: str) -> Value:
    if text.startswith("["):
        return tuple(_scalar(element) for element in text.strip("[]").split())
    return _scalar(text)


def _scalar(text: str) -> Scalar:
    if text == "nothing":
        return None
    return int(text) if text.lstrip("-").isdigit() else text
