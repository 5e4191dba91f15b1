"""What the processes of the footprint benchmark report."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import json

from benchmarks.accounts import Memory, Opened, account, fill, open_once, resident_bytes


def test_accounts_differ() -> None:
    """No two accounts share an address, or loading them would stop at the unique index."""
    assert len({account(number).email for number in range(10_000)}) == 10_000


def test_a_process_holds_memory() -> None:
    """The peak is at least what is resident, and an interpreter takes some megabytes."""
    resident, peak = resident_bytes()
    assert peak >= resident > 1_000_000


def test_filling_tells_every_stage(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Memory is reported before, while and after loading, and after reading."""
    url = f"file:{tmp_path / 'accounts'}"
    fill(url, 3_000, 10)
    told = [json.decode(line, type=Memory) for line in capfdbinary.readouterr().out.splitlines()]
    assert [one.stage for one in told] == [
        "imported",
        "opened",
        "loading",
        "loading",
        "loaded",
        "read",
    ]
    assert [one.accounts for one in told] == [0, 0, 1_000, 2_000, 3_000, 3_000]
    open_once(url, 2_999)
    opened = json.decode(capfdbinary.readouterr().out, type=Opened)
    assert opened.generation == 0
