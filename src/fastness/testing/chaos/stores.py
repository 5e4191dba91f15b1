"""What lies in the stores, read with SQL and with no line of the code that wrote it.

The log names the keys of each commit, the versions have their values: `newest`, and `history` for
those overwritten. A range that moved has taken both along; what its old store has left is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastness.laptop.patroni import Store
from fastness.testing.change_log import Changes

_LOG = """
SELECT l.committed, encode(k.whole, 'hex'), k.deleted FROM fastness.log l CROSS JOIN LATERAL (
    SELECT w.whole, false FROM unnest(l.fresh || l.replaced) AS w(whole)
    UNION ALL SELECT d.whole, true FROM unnest(l.deleted) AS d(whole)
) AS k(whole, deleted) ORDER BY 1
"""
_VERSIONS = """
SELECT committed, encode(key || rest, 'hex'), encode(value, 'hex') FROM fastness.newest
UNION ALL SELECT committed, encode(key || rest, 'hex'), encode(value, 'hex') FROM fastness.history
"""


def merged_log(stores: Iterable[Store]) -> list[tuple[int, Changes]]:
    """The commits in the logs of all stores, as `check_change_log` wants them.

    A key whose version is gone has the value `MISSING`, which nobody ever wrote.
    """
    together: dict[int, dict[bytes, bytes | None]] = {}
    for store in stores:
        for timestamp, changes in read_log(store.ask(_LOG), store.ask(_VERSIONS)).items():
            together.setdefault(timestamp, {}).update(changes)
    return sorted(together.items())


MISSING = b"(its version is not in the store)"


def read_log(log: str, versions: str) -> Mapping[int, dict[bytes, bytes | None]]:
    """The rows of both statements, as `psql` prints them, by commit."""
    values: dict[tuple[int, bytes], bytes] = {}
    for line in versions.splitlines():
        committed, key, value = line.split("|")
        values[int(committed), bytes.fromhex(key)] = bytes.fromhex(value)
    found: dict[int, dict[bytes, bytes | None]] = {}
    for line in log.splitlines():
        committed, text, deleted = line.split("|")
        at, whole = int(committed), bytes.fromhex(text)
        value_of = None if deleted == "t" else values.get((at, whole), MISSING)
        found.setdefault(at, {})[whole] = value_of
    return found
