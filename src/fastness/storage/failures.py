"""Errors of the operating system as errors of the store, in one place."""

from __future__ import annotations

import errno

from fastness.errors import DiskFull, StoreError, StoreReadOnly, StoreUnavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


def from_os_error(error: OSError, doing: str) -> StoreError:
    """What an `OSError` met while `doing` something means to the caller."""
    if error.errno in _FULL:
        return DiskFull(f"no space while {doing} ({error}): free some, then reopen the database")
    if error.errno in _READ_ONLY:
        return StoreReadOnly(f"not permitted while {doing} ({error}): check the disk's permissions")
    return StoreUnavailable(f"{doing} failed ({error}): reopen the database once the disk is well")
