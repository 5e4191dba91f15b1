"""The one error taxonomy, the same on every engine and over every wire.

Classes are cut by what the caller must do next::

    FastnessError
    |-- UsageError                 the call is wrong and will never work: change it
    |   |-- InvalidKey, InvalidValue, InvalidInterval, InvalidTimestamp
    |   |-- InvalidContinuation, InvalidEncoding, InvalidOption, InvalidUrl
    |   |-- TransactionClosed      the transaction was committed, cancelled or failed before
    |   |-- ForeignTransaction     it belongs to another database, thread rule or process
    |   |-- DatabaseClosed         the database was closed, or inherited through a fork
    |   |-- LimitExceeded          a key, value, transaction or queue beyond its limit
    |   |-- ProtocolMismatch       the other side speaks another version: upgrade the older
    |   |-- Unauthenticated        no token, or one that is wrong, expired or revoked: get another
    |   |-- PermissionDenied       the token's role or key space does not reach so far
    |   |-- ProgramMissing         a program that has to be started is not here: install it
    |   `-- SchemaError            a declaration, or stored data it would misread
    |-- Retryable                  nothing was done: run the transaction again
    |   |-- Conflict               something read is no longer true
    |   |-- SnapshotTooOld         the read timestamp fell below the retained window
    |   |-- NotFresh               what could be read is older than `freshness=` allows
    |   |-- Overloaded             a queue is full: back off first
    |   |   |-- RateLimited        the token's rate is used up: it says when to come back
    |   |   `-- Draining           the server goes down: come back to it or its successor
    |   |-- Fenced                 this leaseholder was deposed: ask for the range again
    |   |-- RangeMoved             another node, or another range, serves the key: ask there
    |   `-- Unreachable            nobody who could answer did so in time
    |-- DeadlineExceeded           the time given ran out before the work was done
    |-- AddressUnavailable         nobody can listen there now: it is taken, or not this machine's
    |-- MaybeCommitted             the commit may or may not have happened: resolve it by its id
    |-- RecordError                the data refuses what was asked of it
    |   |-- RecordNotFound, RecordExists, UniqueViolation, VersionMismatch
    |   `-- PreconditionFailed   a key is not as a request demanded: read it again, decide anew
    `-- StoreError                 the durable home cannot serve
        |-- StoreUnavailable       I/O failed: the store closed itself; reopen it
        |-- DiskFull               no space: free some, then reopen; until then it only reads
        |-- StoreReadOnly          opened for inspection, or the disk refuses writes
        |-- DirectoryHeld          another process owns the directory
        |-- ForeignStore           another program's directory, or another format version
        `-- StoreDamaged           a checksum, an order or a record is wrong: restore a backup
            `-- CommitsMissing     what was acknowledged is gone: look for it in the old primary

Every class carries a stable `code` (also the wire's), `retryable` and `maybe_committed`.
A message shows the offending value and names the next step.
"""

from __future__ import annotations

from typing import ClassVar


class FastnessError(Exception):
    """Root of everything this package raises on purpose."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    maybe_committed: ClassVar[bool] = False


class UsageError(FastnessError):
    """The call is wrong; repeating it will never work."""

    code = "usage"


class InvalidKey(UsageError):
    """A key that is not `bytes`, or a tuple element that cannot be packed."""

    code = "invalid_key"


class InvalidValue(UsageError):
    """A value of the wrong type."""

    code = "invalid_value"


class InvalidInterval(UsageError):
    """An interval whose begin lies after its end."""

    code = "invalid_interval"


class InvalidTimestamp(UsageError):
    """A timestamp that was never issued, or a datetime without a time zone."""

    code = "invalid_timestamp"


class InvalidContinuation(UsageError):
    """A continuation token that this scan did not give out."""

    code = "invalid_continuation"


class InvalidEncoding(UsageError):
    """Bytes that are not what their decoder expects."""

    code = "invalid_encoding"


class InvalidOption(UsageError):
    """An option, setting or argument outside what it may be."""

    code = "invalid_option"


class InvalidUrl(UsageError):
    """A database URL that names no engine or no place."""

    code = "invalid_url"


class TransactionClosed(UsageError):
    """The transaction was already committed, cancelled or failed."""

    code = "transaction_closed"


class ForeignTransaction(UsageError):
    """A transaction used with a database it does not belong to."""

    code = "foreign_transaction"


class DatabaseClosed(UsageError):
    """The database was closed, or this process inherited it through a fork."""

    code = "database_closed"


class LimitExceeded(UsageError):
    """A key, value, transaction or wait beyond its limit in `limits.Limits`."""

    code = "limit_exceeded"


class ProtocolMismatch(UsageError):
    """A frame of another protocol version; it was not acted on."""

    code = "protocol_mismatch"


class Unauthenticated(UsageError):
    """A server that wants a token got none, or one that is unknown, expired or revoked."""

    code = "unauthenticated"


class PermissionDenied(UsageError):
    """The role or the key space of the token does not allow this; nothing was done."""

    code = "permission_denied"


class ProgramMissing(UsageError):
    """A program that has to be started is not here, or in no version that will do."""

    code = "program_missing"


class SchemaError(UsageError):
    """A typed declaration that is wrong, or that would misread stored data."""

    code = "schema"


class Retryable(FastnessError):
    """Nothing was committed; running the transaction again may succeed."""

    code = "retryable"
    retryable = True


class Conflict(Retryable):
    """Something the transaction read was overwritten before it committed.

    `key` is a conflicting key (or the begin of a conflicting interval), `winner` the
    commit timestamp that overtook it, 0 where it is not known.
    """

    code = "conflict"

    def __init__(self, message: str, *, key: bytes = b"", winner: int = 0) -> None:
        super().__init__(message)
        self.key = key
        self.winner = winner


class SnapshotTooOld(Retryable):
    """The read timestamp lies below the retained window."""

    code = "snapshot_too_old"


class NotFresh(Retryable):
    """What could be read now is older than the `freshness=` that was asked for."""

    code = "not_fresh"


class Overloaded(Retryable):
    """A bounded queue is full; back off and try again.

    `retry_after_ms` is when to come back, 0 where that is not known.
    """

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class RateLimited(Overloaded):
    """The token has used up its rate; `retry_after_ms` is when it will be allowed again."""

    code = "rate_limited"


class Draining(Overloaded):
    """The server goes down and takes nothing new; it, or its successor, is back soon."""

    code = "draining"


class Fenced(Retryable):
    """A higher epoch of the range was opened: this holder writes no more."""

    code = "fenced"


class RangeMoved(Retryable):
    """The range is served elsewhere, or has another interval now; the map was corrected."""

    code = "range_moved"


class Unreachable(Retryable):
    """No node that could answer did so in time; nothing was done."""

    code = "unreachable"


class DeadlineExceeded(FastnessError):
    """The time given to an operation ran out; nothing was committed."""

    code = "deadline_exceeded"


class AddressUnavailable(FastnessError):
    """An address to listen on is taken by another process, or is none of this machine."""

    code = "address_unavailable"


class MaybeCommitted(FastnessError):
    """The commit was under way when its outcome became unknown.

    `transaction_id` resolves it: `database.outcome(transaction_id)`.
    """

    code = "maybe_committed"
    maybe_committed = True

    def __init__(self, message: str, *, transaction_id: bytes = b"") -> None:
        super().__init__(message)
        self.transaction_id = transaction_id


class RecordError(FastnessError):
    """The stored records refuse what was asked."""

    code = "record"


class RecordNotFound(RecordError):
    """No entity or association has this key."""

    code = "record_not_found"


class RecordExists(RecordError):
    """An entity or association with this key is already there."""

    code = "record_exists"


class UniqueViolation(RecordError):
    """A unique index already holds these values; the message names the entity in the way."""

    code = "unique_violation"


class VersionMismatch(RecordError):
    """`if_version` named another version than the one stored."""

    code = "version_mismatch"


class PreconditionFailed(RecordError):
    """A key is other than the request demanded; nothing of the request was done."""

    code = "precondition_failed"


class StoreError(FastnessError):
    """The durable home cannot serve."""

    code = "store"


class StoreUnavailable(StoreError):
    """I/O failed; the store closed itself so that nothing undurable is ever shown."""

    code = "store_unavailable"


class DiskFull(StoreError):
    """No space is left. The database that met it closed itself: free some space and reopen it.

    Opened while the disk is still full it reads, and refuses writes.
    """

    code = "disk_full"


class StoreReadOnly(StoreError):
    """The store was opened for inspection, or its disk refuses writes."""

    code = "store_read_only"


class DirectoryHeld(StoreError):
    """Another process owns the directory; the message says which."""

    code = "directory_held"


class ForeignStore(StoreError):
    """A directory of another program, another database or another format version."""

    code = "foreign_store"


class StoreDamaged(StoreError):
    """Stored bytes fail a checksum, an order or a record check."""

    code = "store_damaged"


class CommitsMissing(StoreDamaged):
    """Commits that the store had acknowledged are not there: its server lost them."""

    code = "commits_missing"
