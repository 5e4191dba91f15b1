"""The memory of a leaseholder: what it lately read from a store far away, or wrote to it.

::

    RememberingStore     a `RemoteStore` over another one                        store.py
      Home               what is known of a range, and until when it was so      home.py
        Versions         one key: its newest version and a few before it         versions.py
        Stretch          every key of an interval, from a scan                   stretches.py
      Pool               bytes shared by all of a node; a clock chooses who goes pool.py

A hot read then costs a look into a dictionary instead of a way to PostgreSQL and back, and is as
linearizable as one that went there. `home.py` has the argument.
"""

from fastness.hosting.remembering.pool import Pool, PoolCounts
from fastness.hosting.remembering.store import RememberingStore

__all__ = ["Pool", "PoolCounts", "RememberingStore"]
