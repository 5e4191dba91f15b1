"""etcd as the coordinator of a cluster; `docs/CLUSTER.md` tells operators about it.

`EtcdCoordinator.open(process, url)` is all that a node needs; `parse_etcd_url` checks a URL
without reaching anybody.
"""

from fastness.hosting.etcd.coordinator import EtcdCoordinator
from fastness.hosting.etcd.urls import EtcdUrl, hidden, is_etcd, parse_etcd_url

__all__ = ["EtcdCoordinator", "EtcdUrl", "hidden", "is_etcd", "parse_etcd_url"]
