"""Histories on disk: what is written is read back, and damage is named with its line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.testing import (
    History,
    InvalidHistory,
    ListAppendWorkload,
    RegisterWorkload,
    load_history,
    save_history,
)
from tests.histories.databases import StepDatabase
from tests.histories.interleaving import interleave
from tests.histories.scripts import parse

HEADER = '{"format": "fastness-history", "version": 1, "transactions": 1}\n'
LINE = '{"process": 0, "invoked": 1, "completed": 2, "outcome": "ok", "operations": []}\n'
ODD = "process 0, 1..2:  write clé Übung; cas x nothing to 2 -> done\nprocess 1, 3..? unknown:  "


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to write again and again."""
    return tmp_path_factory.mktemp("histories") / "history.jsonl"


@pytest.mark.parametrize(
    "history",
    [
        History([]),
        parse(ODD),
        interleave(ListAppendWorkload(transactions=20), StepDatabase(), seed=1, unknown=0.2),
        interleave(RegisterWorkload(transactions=20), StepDatabase(), seed=2, unknown=0.2),
    ],
    ids=["empty", "odd", "lists", "registers"],
)
def test_what_is_saved_is_loaded(history: History, path: Path) -> None:
    """Every kind of operation, outcome and value survives."""
    save_history(history, path)
    assert load_history(path) == history


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "cut short"),
        (HEADER, 0, "announces 1 transactions and holds 0"),
        (HEADER + LINE + LINE.replace("1", "3", 1).replace("2", "4", 1), 0, "holds 2"),
        (HEADER + LINE[:-1], 2, "without a newline"),
        (HEADER + LINE[:30] + "\n", 2, "not JSON"),
        (HEADER + "[" * 100_000 + "\n", 2, "not JSON"),
        (HEADER + "\x00\x01\n", 2, "not JSON"),
        (HEADER + "[]\n", 2, "a JSON object"),
        (HEADER.replace("fastness", "other") + LINE, 1, "a header"),
        (HEADER.replace("1,", "2,") + LINE, 1, "a header"),
        (HEADER.replace("1}", "null}") + LINE, 1, "number of transactions"),
        (HEADER + LINE.replace('"process": 0, ', ""), 2, "exactly the fields"),
        (HEADER + LINE.replace("{", '{"color": 1, '), 2, "exactly the fields"),
        (HEADER + LINE.replace('"ok"', '"fine"'), 2, "an outcome"),
        (HEADER + LINE.replace('"ok"', "[]"), 2, "an outcome"),
        (HEADER + LINE.replace(": 1,", ": true,"), 2, "time of invocation"),
        (HEADER + LINE.replace(": 2,", ": 2.5,"), 2, "completion time"),
        (HEADER + LINE.replace(": 2,", ": 0,"), 0, "complete before it was invoked"),
        (HEADER + LINE.replace("[]", "{}"), 2, "list of operations"),
        (HEADER + LINE.replace("[]", '[["peek", "x", 1]]'), 2, "an operation"),
        (HEADER + LINE.replace("[]", '[["read", "x"]]'), 2, "an operation"),
        (HEADER + LINE.replace("[]", '[["read", null, 1]]'), 2, "a key"),
        (HEADER + LINE.replace("[]", '[["read", "x", 1.5]]'), 2, "a value"),
        (HEADER + LINE.replace("[]", '[["append", "x", [1]]]'), 2, "a value"),
        (HEADER + LINE.replace("[]", '[["cas", "x", 1, 2, 3]]'), 2, "an operation"),
    ],
)
def test_damage_is_named(text: str, line: int, message: str, path: Path) -> None:
    """Whatever is wrong raises `InvalidHistory` with the line it is on."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidHistory, match=message) as caught:
        load_history(path)
    assert caught.value.line == line


@given(st.integers(0, 2**32))
def test_random_damage_never_passes_unnoticed(path: Path, seed: int) -> None:
    """A file with bytes changed or cut off loads as another history at most, or is refused."""
    random = Random(seed)
    save_history(parse(ODD), path)
    damaged = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 3)):
        damaged[random.randrange(len(damaged))] = random.randrange(256)
    path.write_bytes(damaged[: random.randint(len(damaged) // 2, len(damaged))])
    with suppress(InvalidHistory):
        assert len(load_history(path)) == 2
