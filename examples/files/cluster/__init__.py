"""The files service on a real cluster, with members of it killed: `make cluster-demo`.

    python -m examples.files.cluster --path /usr --folder ./cluster-data

`main` starts a whole cluster on this machine (`fastness.laptop`), with a space of files in each of
two stores; loads a directory tree into both; lets client processes with near caches work on both
while a node, the primary of a PostgreSQL and the leader of etcd get SIGKILL; then asks for every
acknowledged write, checks both trees, and stops everything.
"""

from examples.files.cluster.run import main

__all__ = ["main"]
