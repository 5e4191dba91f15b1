"""Databases to judge: a correct one, and one broken in each way a checker must notice.

All work step by step, so that a test decides how transactions interleave, and all keep every
version: `committed[key]` lists (commit number, value).
"""

from __future__ import annotations

from random import Random

from fastness.errors import Conflict


class StepTransaction:
    """A transaction of a correct database: snapshot reads, everything read validated."""

    def __init__(self, database: StepDatabase) -> None:
        self.database = database
        self.snapshot = database.snapshot()
        self.reads: set[bytes] = set()
        self.writes: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The transaction's own write, or what its snapshot holds."""
        if key in self.writes:
            return self.writes[key]
        self.reads.add(key)
        return self.database.read(key, self.snapshot)

    def set(self, key: bytes, value: bytes) -> None:
        """Buffer a write."""
        self.writes[key] = value

    def commit(self) -> None:
        """Make the writes visible, or raise `Conflict` and leave nothing behind."""
        self.database.validate(self)
        self.database.apply(self.writes)


class StepDatabase:
    """Strictly serializable: the measure of the others."""

    transaction: type[StepTransaction] = StepTransaction

    def __init__(self, seed: int = 0) -> None:
        self.random = Random(seed)
        self.commits = 0
        self.committed: dict[bytes, list[tuple[int, bytes]]] = {}

    def begin(self) -> StepTransaction:
        """A transaction, to be stepped through."""
        return self.transaction(self)

    def snapshot(self) -> int:
        """The commit number a new transaction reads at."""
        return self.commits

    def read(self, key: bytes, snapshot: int) -> bytes | None:
        """The newest value at or below a commit number."""
        for number, value in reversed(self.committed.get(key, [])):
            if number <= snapshot:
                return value
        return None

    def newest(self, key: bytes) -> int:
        """The number of the commit that last wrote a key."""
        return self.committed[key][-1][0] if key in self.committed else 0

    def validate(self, transaction: StepTransaction) -> None:
        """Writers fail if anything they read was overwritten; readers saw one snapshot."""
        if transaction.writes:
            self.require_unchanged(transaction, transaction.reads)

    def require_unchanged(self, transaction: StepTransaction, keys: set[bytes]) -> None:
        """Raise `Conflict` if one of the keys was written after the snapshot."""
        for key in keys:
            if self.newest(key) > transaction.snapshot:
                raise Conflict(f"{key!r} changed; run the transaction again", key=key)

    def apply(self, writes: dict[bytes, bytes]) -> None:
        """One commit."""
        self.commits += 1
        for key, value in writes.items():
            self.committed.setdefault(key, []).append((self.commits, value))


class LostUpdateDatabase(StepDatabase):
    """Validates nothing: the last writer wins."""

    def validate(self, transaction: StepTransaction) -> None:
        """Accept everything."""


class WriteSkewDatabase(StepDatabase):
    """Snapshot isolation: two writers of one key exclude each other, readers nobody."""

    def validate(self, transaction: StepTransaction) -> None:
        """First committer wins."""
        self.require_unchanged(transaction, set(transaction.writes))


class StaleReadDatabase(StepDatabase):
    """Serializable, but a snapshot may be older than what was acknowledged before."""

    def snapshot(self) -> int:
        """Up to four commits ago."""
        return max(0, self.commits - self.random.randrange(5))


class UncommittedTransaction(StepTransaction):
    """Writes in place, and reads whatever is there."""

    def get(self, key: bytes) -> bytes | None:
        """What is there, committed or not."""
        return self.database.read(key, self.database.commits)

    def set(self, key: bytes, value: bytes) -> None:
        """Visible at once."""
        self.database.apply({key: value})

    def commit(self) -> None:
        """Nothing is left to do."""


class DirtyReadDatabase(StepDatabase):
    """Read uncommitted."""

    transaction = UncommittedTransaction


class AbortingTransaction(UncommittedTransaction):
    """As `UncommittedTransaction`, with some commits refused after others saw them."""

    def __init__(self, database: StepDatabase) -> None:
        super().__init__(database)
        self.before: dict[bytes, bytes] = {}

    def set(self, key: bytes, value: bytes) -> None:
        """Visible at once, and remembered to be undone."""
        self.before.setdefault(key, self.get(key) or b"")
        super().set(key, value)

    def commit(self) -> None:
        """One in four is undone."""
        if self.before and self.database.random.random() < 0.25:
            self.database.apply(self.before)
            raise Conflict("refused; run the transaction again")


class AbortedReadDatabase(StepDatabase):
    """What a refused transaction wrote was seen before it was undone."""

    transaction = AbortingTransaction


class LockingTransaction(UncommittedTransaction):
    """Locks what it writes, until it ends, against other writers; readers ignore locks."""

    def __init__(self, database: StepDatabase) -> None:
        super().__init__(database)
        assert isinstance(database, IntermediateReadDatabase)
        self.locks = database.locks

    def set(self, key: bytes, value: bytes) -> None:
        """Visible at once; refused while another transaction holds the key."""
        holder = self.locks.setdefault(key, self)
        if holder is not self:
            self.release()
            raise Conflict(f"{key!r} is locked; run the transaction again", key=key)
        super().set(key, value)

    def commit(self) -> None:
        """Let other writers in."""
        self.release()

    def release(self) -> None:
        """Give up every lock."""
        for key in [key for key, holder in self.locks.items() if holder is self]:
            del self.locks[key]


class IntermediateReadDatabase(StepDatabase):
    """No dirty writes, but a transaction can be seen half done."""

    transaction = LockingTransaction

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.locks: dict[bytes, StepTransaction] = {}


class ReadCommittedTransaction(StepTransaction):
    """Each read sees the newest value, so two reads may see two moments."""

    def get(self, key: bytes) -> bytes | None:
        """The newest value; only writers are validated, from their beginning."""
        if key in self.writes:
            return self.writes[key]
        self.reads.add(key)
        return self.database.read(key, self.database.commits)


class CausalReversalDatabase(StepDatabase):
    """Read-only transactions have no snapshot: a later write is seen without an earlier one."""

    transaction = ReadCommittedTransaction


class Replica:
    """One of two copies, with commits of the other that have not arrived."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.arriving: list[dict[bytes, bytes]] = []


class ReplicaTransaction(StepTransaction):
    """Reads a snapshot of one replica."""

    def __init__(self, database: StepDatabase) -> None:
        super().__init__(database)
        assert isinstance(database, LongForkDatabase)
        self.home = database.random.randrange(2)
        replica = database.replicas[self.home]
        if database.random.random() < 0.2:
            for writes in replica.arriving:
                replica.values.update(writes)
            replica.arriving.clear()
        self.seen = dict(replica.values)

    def get(self, key: bytes) -> bytes | None:
        """From the copy taken at the beginning."""
        return self.writes.get(key, self.seen.get(key))


class LongForkDatabase(StepDatabase):
    """Parallel snapshot isolation: each replica shows its own commits before the other's."""

    transaction = ReplicaTransaction

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.replicas = [Replica(), Replica()]

    def validate(self, transaction: StepTransaction) -> None:
        """No key may have been written anywhere since the snapshot that was read."""
        assert isinstance(transaction, ReplicaTransaction)
        for key in transaction.writes:
            if transaction.seen.get(key) != self.read(key, self.commits):
                raise Conflict(f"{key!r} changed; run the transaction again", key=key)
        if transaction.writes:
            self.replicas[transaction.home].values.update(transaction.writes)
            self.replicas[1 - transaction.home].arriving.append(transaction.writes)


class TornCommitDatabase(StepDatabase):
    """Makes the keys of one commit visible one after another."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.waiting: list[dict[bytes, bytes]] = []

    def apply(self, writes: dict[bytes, bytes]) -> None:
        """The first key at once, the others when somebody else begins."""
        parts = [{key: value} for key, value in writes.items()]
        for part in parts[:1]:
            super().apply(part)
        self.waiting += parts[1:]

    def snapshot(self) -> int:
        """A moment between the parts."""
        before = super().snapshot()
        for part in self.waiting:
            super().apply(part)
        self.waiting.clear()
        return before
