"""Benchmarks: what Fastness costs beside its peers, as ratios measured in one run.

Run `python -m benchmarks` (or `make bench`). A number alone says more about the machine than
about the program, and machines are noisy: so everything here is compared with its peers in the
same run, in alternating rounds, and judged by the median ratio. The embedded database stands
beside raw RocksDB, LMDB and SQLite, the server beside Redis, PostgreSQL and etcd, a cluster beside
the PostgreSQL that it keeps its data in.

    __main__      the command line
    settings      how much work a run does
    workload      keys and values;  nodes, accounts: the typed records
    contenders/   the embedded database and its peers behind one contract
    servers/      servers as child processes, found, started and stopped
    clients/      their clients behind one contract;  field: all of them loaded, on one loop
    contests      alternating rounds, in one thread, in many, in tasks
    spells        rounds of servers, which last a given time
    samples       rounds, percentiles, ratios, processor time
    rows          what a benchmark answers: figures, ratio, target, reached or not
    traces        what an operation reads and writes, for a peer to do the same
    reads, scans, typed, commits, trees, files, footprint    the embedded family
    server_reads, server_commits, server_transactions, near_cache, crowd, busy_reads    the server
    server_rows   rows beside every peer of a field;  scanner: the process that scans meanwhile
    cluster_peers, cluster_crossing, cluster_ranges, cluster_starts, cluster_costs    the cluster
    processor     processor time of a round, process by process
    capacity      machines from costs;  capacity_page: docs/CAPACITY.md
    catalogue     their names and families;  versions: what they are measured with
    report, juicefs, chart, comparison, publication    tables, JSON, SVG, docs/BENCHMARKS.md
"""
