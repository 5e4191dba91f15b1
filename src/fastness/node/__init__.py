"""A server process of a cluster.

`Node` serves the ranges it holds leases of, over a `runtime.Process` (messages, timers, clocks),
a `placement.Coordinator` (sessions, descriptors) and a `hosting.RemoteStore` for each store it
reaches. `bootstrap` writes the first descriptors. `ServerNode` is a whole server: one node, one
store of this machine, and the coordinator inside the process. `ClusterNode` is one of many, over
a coordinator and stores that all of them share. Nothing here knows of sockets, etcd or PostgreSQL:
the simulated world and the real one run the same code.

Read `node.py` for the parts, `session.py`, `claims.py` and `opening.py` for leases, `shell.py`
and `store_port.py` for what a leaseholder is given, `flows.py` for splits and moves.
"""

from fastness.node.bootstrap import bootstrap
from fastness.node.cluster_node import ClusterNode, read_cluster
from fastness.node.counts import Counts
from fastness.node.gate import Gate, OpenGate, Work
from fastness.node.node import Node
from fastness.node.server_node import ServerNode

__all__ = [
    "ClusterNode",
    "Counts",
    "Gate",
    "Node",
    "OpenGate",
    "ServerNode",
    "Work",
    "bootstrap",
    "read_cluster",
]
