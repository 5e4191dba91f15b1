"""Chaos: a real cluster on this machine, hurt on purpose, and judged by the history checkers.

::

    python -m fastness.testing.chaos --minutes 30 --seed 7

    schedule   which faults strike when: drawn from the seed, without a cluster
    faults     what strikes: processes killed and paused, ranges moved about
    arena      the cluster as faults see it: who serves what, who leads
    crowd      clients that act the workloads of the simulated cluster on the real one
    probes     one writer and one reader for each first range: who stood still, and how long
    stores     the versions and the log of every store, read with SQL
    judging    every checker, over all that was recorded
    report     the table and the JSON
    run        all of it

Nothing here can be repeated exactly: the seed gives the same blows in the same order, and the
machine decides what they meet. docs/TESTING.md tells how to read a report.
"""
