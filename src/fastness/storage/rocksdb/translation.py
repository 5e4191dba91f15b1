"""What `rocksdict` raises, as errors of ours: the one place that reads its messages.

It raises bare `Exception` with RocksDB's status as text. Statuses begin with a class
("Corruption: ", "IO error: "), and what the operating system said stands in the text.
"""

from __future__ import annotations

from rocksdict import DbClosedError

from fastness.errors import (
    DatabaseClosed,
    DirectoryHeld,
    DiskFull,
    FastnessError,
    StoreDamaged,
    StoreReadOnly,
    StoreUnavailable,
)
from fastness.storage.failures import from_os_error

RESTORE = "restore a backup (`fastness restore`), or move this directory aside"


_CLASSES: tuple[tuple[tuple[str, ...], type[FastnessError], str], ...] = (
    (
        ("No space left", "Disk quota exceeded", "File too large"),
        DiskFull,
        "free some space, then reopen",
    ),
    (("Read-only file system", "Permission denied"), StoreReadOnly, "check the disk"),
    (("in read only mode",), StoreReadOnly, "it was opened for inspection"),
    (("/LOCK:", "lock hold by current process"), DirectoryHeld, "close the other holder first"),
    (("Corruption:", "No such file", "Not found:", "Invalid argument:"), StoreDamaged, RESTORE),
)
"""What a message contains, tried in this order, and what that means to the caller.

A file that is not there is damage: the tables name only files they need. So is an argument
RocksDB finds invalid while opening, which is how it reports a missing `CURRENT`.
"""


def translated(error: BaseException, doing: str) -> FastnessError:
    """What an exception met while `doing` something means to the caller."""
    if isinstance(error, FastnessError):
        return error
    if isinstance(error, OSError):
        return from_os_error(error, doing)
    if isinstance(error, DbClosedError):
        return DatabaseClosed(f"the database was closed while {doing}: open it again")
    text = str(error)
    for signs, meaning, advice in _CLASSES:
        if any(sign in text for sign in signs):
            return meaning(f"{doing} failed ({text.strip()}): {advice}")
    return StoreUnavailable(f"{doing} failed ({text.strip()}): reopen the database")
