"""What the operations of the files service are measured against."""

from __future__ import annotations

from pathlib import Path

from benchmarks import juicefs
from benchmarks.files import files
from benchmarks.settings import tiny

NEEDED = {
    juicefs.MKDIR: "5 gets, 4 writes, 1 sync",
    juicefs.RENAME: "3 gets, 4 writes, 1 sync",
    juicefs.LOOKUP: "2 gets",
    juicefs.GETATTR: "1 get",
    "list of 20": "1 get, 1 scan",
}


def test_the_raw_operations_are_those_the_documents_list(tmp_path: Path) -> None:
    """Another read or write of an operation changes what `docs/BENCHMARKS.md` says it needs."""
    rows = files(tiny(tmp_path))
    assert {row.what: row.peer for row in rows} == {
        juicefs.named(operation): f"raw rocksdict: {raw}" for operation, raw in NEEDED.items()
    }
