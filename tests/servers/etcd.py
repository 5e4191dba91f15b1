"""Real etcd clusters for tests: the laptop's members, below one folder, killed at the end.

Elections are quick, so that a leader's death costs a test a fraction of a second and the shortest
lease is one second. The program is the `etcd` on the PATH, else the one in the wheel, which is
3.5.1: so the URL says that everything may be lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from fastness.laptop.etcd import Member, etcd_members, etcd_places
from fastness.laptop.ports import HOST

READY_SECONDS = 30.0
QUICK = ("--heartbeat-interval", "20", "--election-timeout", "200")


class EtcdCluster:
    """Members that form one cluster; `member.daemon` is killed, paused and started again."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members

    @property
    def places(self) -> str:
        """Every member, as a URL lists them."""
        return ",".join(f"{HOST}:{member.place.client_port}" for member in self.members)

    def url(self, prefix: str = "fastness") -> str:
        """A URL of all members, for the coordinator."""
        return f"etcd://{self.places}/{prefix}?throwaway=on"

    def start(self) -> None:
        """Start every member, and wait until they have elected one."""
        for member in self.members:
            member.daemon.start()
        for member in self.members:
            member.daemon.await_ready(READY_SECONDS)

    def leader(self) -> Member:
        """The member that leads, once there is one, as it sees itself in the latest term."""
        give_up = time.monotonic() + READY_SECONDS
        while time.monotonic() < give_up:
            terms: dict[int, Member] = {}
            for member in self.members:
                status = member.status()
                if status and status.get("leader") == status["header"]["member_id"]:
                    terms[int(status["raftTerm"])] = member
            if terms:
                return terms[max(terms)]
        raise TimeoutError(f"etcd has no leader after {READY_SECONDS} s")

    def followers(self) -> list[Member]:
        """The others."""
        leader = self.leader()
        return [member for member in self.members if member is not leader]

    def kill(self) -> None:
        """Kill every member, paused ones too."""
        for member in self.members:
            member.daemon.kill()


@contextmanager
def etcd_cluster(
    directory: Path, members: int = 1, *, words: Sequence[str] = ()
) -> Iterator[EtcdCluster]:
    """A fresh cluster below `directory` that has a leader; `words` are options of each member."""
    places = etcd_places(directory, members)
    cluster = EtcdCluster(etcd_members(places, words=[*QUICK, *words], mark=token_hex(8)))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
