"""A store in PostgreSQL: replicated and failed over by others, asked from far away.

::

    store       PostgresStore: a `RemoteStore`; what waits is gathered, lanes carry it out
      applying    the lanes of batches;  batches: ranges' batches <-> arrays of one statement
      reading     requests to read <-> one statement
      places      how far pruning has come
      lanes       connections, one each, that share a queue
      primary     finds the primary, believes it after a barrier, drops it when in doubt
        connecting, checks, failures    hosts of a DSN; what a server must be set to; its errors
    preparing   the schema, its migrations, whose store it is
    schema/     the tables and functions, one file a migration

A cluster uses it so::

    await PostgresStore.prepare(dsn, cluster_id)                      # once; may be repeated
    store = await PostgresStore.open(process, dsn, cluster_id=cluster_id, limits=limits)
    ...
    await store.close()

The DSN names every server that may be the primary, `postgresql://user@one:5432,two:5432/database`;
the client finds out which it is. `allow_unreplicated=True` is for an operator who wants a store
whose commits rest on one server alone.

**One statement a group commit.** `schema/0002_writing.sql` locks the ranges' rows, compares epoch
and number, moves what is overwritten to the history and writes the rest, all in one call: one round
trip, and as many statements for 64 ranges as for one. Each range's batch is refused by itself.

**In doubt.** A commit is never cancelled and never timed out. Where its connection is lost, or
PostgreSQL warns that the wait for the standby was cancelled, every connection to that primary is
dropped, a barrier is committed at whoever is primary then, and the caller hears `Unreachable`: it
asks `settle`, which locks the same row and uses the number up, so that a late original is refused.

**Reads are trusted** only over connections made after such a barrier (a primary back from a crash
shows commits that its standby never had), and each tells the number of its range's last batch: one
that is too old comes from a primary that was demoted, whose connections are dropped.
"""

from fastness.hosting.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
