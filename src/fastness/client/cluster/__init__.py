"""The client of a cluster: routing, timestamps, transactions, commits and a near cache.

::

    ClusterClient            run, transaction, get, set, ...           client.py
      ClusterTransaction     reads, own writes, what was read          transaction.py
        Reader               reads over ranges                         reads.py
          GatheredReads      many tasks' reads in one frame            gathering.py
        CachedReads          the near cache in front of it             caching.py
        Timestamps           one request to the oracle, shared         timestamps.py
        Commits              drives transactions.two_phase             commits.py
      Routes                 the range map, corrected by refusals      routing.py
      Calls                  numbers, answers, silences                calls.py

Everything is written against `runtime.process.Process` alone, so the same code runs on sockets
and in the simulated world.
"""

from fastness.client.cluster.auditing import Audit, Verdict
from fastness.client.cluster.client import ClusterClient, ClusterCounts
from fastness.client.cluster.transaction import ClusterTransaction

__all__ = ["Audit", "ClusterClient", "ClusterCounts", "ClusterTransaction", "Verdict"]
