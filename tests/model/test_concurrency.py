"""Threads that write while indexes are built behind them, in a whole database on disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import fastness
from fastness.model import findings
from tests.model.test_building import Plain, Rich

WRITERS = 4
WRITES = 40
RECORDS = 400


def one_write(tx: fastness.Transaction, random: Random) -> None:
    """Insert, change or remove one of the records."""
    group, id_ = random.choice("abc"), random.randrange(RECORDS)
    if tx.fetch(Rich, group, id_) is None:
        tx.insert(Rich(group=group, id=id_, name=random.choice("xyz"), size=id_, tags=[group]))
    elif random.random() < 0.3:
        tx.remove(Rich, group, id_)
    else:
        tx.patch(Rich, group, id_, size=random.randrange(100), tags=[random.choice("tu")])


def write(database: fastness.Database, seed: int) -> None:
    """Many writes, each retried."""
    random = Random(seed)
    for _ in range(WRITES):
        database.run(one_write, random)


def test_indexes_are_built_behind_writers(tmp_path: Path) -> None:
    """Opened with new indexes, written to at once: in the end all is what the records imply."""
    url = f"file:{tmp_path / 'data'}"
    with fastness.open(url, schema=[Plain]) as database, database.transaction() as tx:
        for id_ in range(RECORDS):
            tx.insert(Plain(group="abc"[id_ % 3], id=id_, name="x", size=id_, tags=["t"]))
    with fastness.open(url, schema=[Rich]) as database:
        with ThreadPoolExecutor(WRITERS) as pool:
            writers = [pool.submit(write, database, seed) for seed in range(WRITERS)]
            for writer in writers:
                writer.result()
        parts = (Rich.by_size, Rich.by_tag, Rich.sized, Rich.pieces, Rich.weight, Rich.named)
        assert database.wait_until_readable(*parts, timeout=60)
        tx = database.transaction(read_only=True)
        assert list(findings(tx)) == []
        records = list(tx.every(Rich, limit=10_000))
        assert tx.total(Rich.weight) == sum(one.size or 0 for one in records)
