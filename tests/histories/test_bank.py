"""The bank checker's edges; what it prints is a golden script."""

from __future__ import annotations

import pytest

from fastness.testing import InvalidHistory, check_bank
from tests.histories.scripts import parse

ACCOUNTS = ["a", "b"]


def names(text: str) -> list[str]:
    """The anomalies of a history of two accounts that hold 100."""
    report = check_bank(parse(text), accounts=ACCOUNTS, total=100)
    return sorted(report.counts.elements())


def test_partial_reads_prove_nothing() -> None:
    """Only a transaction that read every account shows a total."""
    assert names("process 0, 1..2:  read a -> 7") == []


def test_reads_after_own_writes_do_not_count() -> None:
    """A transfer that reads its own balances back has not read a snapshot."""
    assert names("process 0, 1..2:  read a -> 60; write a 0; read a -> 0; read b -> 40") == []


def test_transactions_without_acknowledgement_do_not_count() -> None:
    """What a failed or unknown transaction read may be torn."""
    assert names("process 0, 1..2 failed:  read a -> 1; read b -> 1") == []
    assert names("process 0, 1..? unknown:  read a -> 1; read b -> 1") == []


def test_a_missing_account_is_named() -> None:
    """Absence is one anomaly, not a wrong total too."""
    assert names("process 0, 1..2:  read a -> 60; read b -> nothing") == ["missing-account"]


def test_every_wrong_total_counts_and_few_are_kept() -> None:
    """A report keeps the first of a class and counts the others."""
    lines = [f"process 0, {2 * n}..{2 * n + 1}:  read a -> 1; read b -> 1" for n in range(50)]
    report = check_bank(parse("\n".join(lines)), accounts=ACCOUNTS, total=100)
    assert report.counts["wrong-total"] == 50
    assert len(report.named("wrong-total")) == 8
    assert "50 wrong-total" in str(report)


@pytest.mark.parametrize("operation", ["read a -> [1]", "read a -> much", "append a 1"])
def test_what_is_no_balance_is_refused(operation: str) -> None:
    """Histories of something else are not judged."""
    with pytest.raises(InvalidHistory):
        names(f"process 0, 1..2:  {operation}")
