"""Exit codes: what a script may conclude from how a command ended.

====  ================================================================================
0     done
1     nothing, or something wrong, was found: an absent key, a check's findings
2     the command or its input is wrong, and repeating it will not help
3     not now: the directory is held, the disk is full, a deadline passed; try again later
4     damaged, or of another program or format: a database, a backup or an export
5     the stored records refuse it: absent, already there, a unique value, another version
6     the commit was under way when its outcome became unknown
130   interrupted (Ctrl-C); 143: terminated; 141: whoever read the output went away
====  ================================================================================
"""

from __future__ import annotations

from fastness.errors import (
    FastnessError,
    ForeignStore,
    MaybeCommitted,
    RecordError,
    StoreDamaged,
    UsageError,
)

DONE = 0
FOUND_WRONG = 1
USAGE = 2
NOT_NOW = 3
DAMAGED = 4
REFUSED = 5
UNKNOWN_OUTCOME = 6
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

_BY_CLASS: tuple[tuple[type[FastnessError], int], ...] = (
    (StoreDamaged, DAMAGED),
    (ForeignStore, DAMAGED),
    (UsageError, USAGE),
    (RecordError, REFUSED),
    (MaybeCommitted, UNKNOWN_OUTCOME),
)


def exit_code(error: FastnessError) -> int:
    """The code a command ends with after this error; what is in no row may be tried again."""
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    return NOT_NOW
