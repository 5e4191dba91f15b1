"""The benchmarks by name, in the order they run, in three families.

A family is published as a whole, in a part of the page of its own: `embedded` beside peers in
the same process, `server` beside peers over sockets, `cluster` beside the PostgreSQL below it.
"""

from __future__ import annotations

from benchmarks.busy_reads import busy_reads
from benchmarks.cluster_costs import cluster_costs
from benchmarks.cluster_crossing import cluster_crossing
from benchmarks.cluster_peers import cluster_peers
from benchmarks.cluster_ranges import cluster_ranges
from benchmarks.cluster_starts import cluster_starts
from benchmarks.commits import many_writers, one_writer
from benchmarks.crowd import crowd
from benchmarks.files import files
from benchmarks.footprint import footprint
from benchmarks.near_cache import near_cache
from benchmarks.reads import point_reads
from benchmarks.rows import Measure
from benchmarks.scans import scans
from benchmarks.server_commits import server_commits
from benchmarks.server_reads import server_reads
from benchmarks.server_transactions import server_transactions
from benchmarks.trees import trees
from benchmarks.typed import typed

FAMILIES: dict[str, dict[str, Measure]] = {
    "embedded": {
        "reads": point_reads,
        "scans": scans,
        "typed": typed,
        "one-writer": one_writer,
        "many-writers": many_writers,
        "trees": trees,
        "files": files,
        "footprint": footprint,
    },
    "server": {
        "server-reads": server_reads,
        "server-commits": server_commits,
        "server-transactions": server_transactions,
        "near-cache": near_cache,
        "crowd": crowd,
        "busy-reads": busy_reads,
    },
    "cluster": {
        "cluster-peers": cluster_peers,
        "cluster-crossing": cluster_crossing,
        "cluster-ranges": cluster_ranges,
        "cluster-starts": cluster_starts,
        "cluster-costs": cluster_costs,
    },
}

BENCHMARKS: dict[str, Measure] = {
    name: measure for family in FAMILIES.values() for name, measure in family.items()
}
