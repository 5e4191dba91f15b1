"""Golden scripts: a history, the checker that judges it, and its exact answer.

`python -m tests.histories.golden` writes the answers anew; read the difference before keeping it.
"""

from __future__ import annotations

from pathlib import Path

from fastness.testing import (
    History,
    Report,
    check_bank,
    check_list_append,
    check_read_write_registers,
    check_registers,
)
from tests.histories.scripts import parse

FOLDER = Path(__file__).parent / "golden"
SCRIPTS = sorted(FOLDER.glob("*.txt"))
ANSWER = "\nanswer\n"


def _check_bank_of_two(history: History) -> Report:
    return check_bank(history, accounts=["a", "b"], total=100)


CHECKERS = {
    "list-append": check_list_append,
    "read-write-registers": check_read_write_registers,
    "registers": check_registers,
    "bank of a and b, 100 together": _check_bank_of_two,
}


def judge(script: Path) -> tuple[str, str]:
    """What a script holds, and what it should hold: the same up to the answer."""
    text = script.read_text(encoding="utf-8")
    question = text.split(ANSWER)[0]
    checker, *lines = question.split("\n\n")[1].splitlines()
    report = CHECKERS[checker.removesuffix(":")](parse("\n".join(lines)))
    return text, f"{question.rstrip()}\n{ANSWER}\n{report}\n"


if __name__ == "__main__":
    for path in SCRIPTS:
        path.write_text(judge(path)[1], encoding="utf-8")
