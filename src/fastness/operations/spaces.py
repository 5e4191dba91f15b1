"""Which stretches of the key space a copy of a database carries.

::

    00 .. ff      keys and values
    ff 01, ff 02  typed records and their schema
    ff 03         answers of transactions over HTTP, by the ids their senders gave
    ff 04         marks of operations: of this database alone, so not copied
"""

from __future__ import annotations

from fastness.encoding.intervals import SYSTEM_END, USER_END, KeyInterval, prefix_end

OPERATIONS_PREFIX = b"\xff\x04"
IMPORT_KEY = OPERATIONS_PREFIX + b"import"
"""Tells how far an import has come; it stays when the import is complete."""

PLAIN = KeyInterval(b"", USER_END)
RECORDS = (
    KeyInterval(USER_END, OPERATIONS_PREFIX),
    KeyInterval(prefix_end(OPERATIONS_PREFIX), SYSTEM_END),
)
COPIED = (PLAIN, *RECORDS)
"""In order of keys."""
