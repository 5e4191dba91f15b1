"""A real cluster on one machine: etcd, PostgreSQL under Patroni and nodes, as processes.

    programs     where the programs are: on the PATH, or in a wheel
    ports, web, secret_files    free ports, one HTTP request, files for their owner alone
    processes    processes found again by a mark, and ended
    daemon       one server: started, waited for, killed, paused
    etcd, patroni, node    the members of a cluster; `postgres`: one without Patroni
    sentinel     ends what a supervisor that was killed leaves behind
    plan, folder    what a folder holds, written down before anything starts
    cluster      `LaptopCluster`: all of it, to use and to hurt
    survey       how every member is

For development and tests: see docs/CLUSTER.md for what production runs.
"""
