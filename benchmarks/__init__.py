"""Benchmarks: what Fastness costs beside its peers, as ratios measured in one run.

Run `python -m benchmarks` (or `make bench`). A number alone says more about the machine than
about the program, and machines are noisy: so everything here is compared with raw RocksDB,
LMDB or SQLite in the same run, in alternating rounds, and judged by the median ratio.

    __main__      the command line
    settings      how much work a run does
    workload      keys and values;  nodes, accounts: the typed records
    contenders/   Fastness and its peers behind one contract
    contests      alternating rounds, in one thread, in many, in tasks
    samples       rounds, percentiles, ratios
    rows          what a benchmark answers: figures, ratio, target, reached or not
    traces        what an operation reads and writes, for a peer to do the same
    reads, scans, typed, commits, trees, files, footprint    the benchmarks themselves
    catalogue     their names
    report, juicefs, chart, publication    tables, JSON, SVG, docs/BENCHMARKS.md
"""
