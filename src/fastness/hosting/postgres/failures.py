"""Errors of PostgreSQL and of its client as errors of ours, in one place."""

from __future__ import annotations

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from fastness.errors import DiskFull, FastnessError, StoreDamaged, StoreUnavailable, Unreachable
from fastness.invariants import InvariantViolation

INVARIANT = "FS001"
"""The state with which functions of the schema tell that what they were asked is impossible."""

IN_DOUBT = "a write may or may not have been applied"

_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    # The server goes down, or is no primary any more.
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
)


def is_lost(error: BaseException) -> bool:
    """Whether the connection, or the primary behind it, is not to be used any more.

    A cancelled statement counts: whoever cancels one may have cancelled the wait for a standby.
    """
    return isinstance(error, _LOST)


def translated(error: Exception, doing: str) -> Exception:
    """What an error met while `doing` something means to the caller."""
    if isinstance(error, FastnessError | InvariantViolation):
        return error
    if is_lost(error):
        return Unreachable(f"{doing}: the connection to the store was lost ({_said(error)})")
    if getattr(error, "sqlstate", None) == INVARIANT:
        return InvariantViolation(str(error))
    return _refused(error, doing)


def _refused(error: Exception, doing: str) -> FastnessError:
    """What it means that PostgreSQL did nothing of what it was asked."""
    if isinstance(error, asyncpg.DiskFullError):
        return DiskFull(f"{doing}: PostgreSQL has no space ({error}): free some on its server")
    if isinstance(error, asyncpg.DataCorruptedError | asyncpg.IndexCorruptedError):
        return StoreDamaged(f"{doing}: {_said(error)}: restore a backup")
    if isinstance(error, asyncpg.UndefinedFunctionError | asyncpg.UndefinedTableError):
        return StoreUnavailable(
            f"{doing}: {_said(error)}: the schema is not this version's; prepare the store again"
        )
    return StoreUnavailable(f"{doing}: PostgreSQL refused ({_said(error)})")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
