"""etcd: members of one cluster, each of which syncs its log before it acknowledges a write."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastness.errors import Unreachable
from fastness.laptop import web
from fastness.laptop.daemon import Daemon
from fastness.laptop.ports import HOST, free_ports
from fastness.laptop.programs import etcd_program, version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a member is."""

    name: str
    folder: Path
    client_port: int
    peer_port: int
    host: str = HOST
    prefix: tuple[str, ...] = ()
    """What to put before its command: a network namespace, say."""

    @property
    def client_url(self) -> str:
        """For clients."""
        return f"http://{self.host}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        """For the other members."""
        return f"http://{self.host}:{self.peer_port}"


@dataclass(slots=True)
class Member:
    """One member: where it is, and its process."""

    place: Place
    daemon: Daemon = field(repr=False)

    def status(self) -> dict[str, Any] | None:
        """What it says of itself (`/v3/maintenance/status`); `None` where it does not answer."""
        answer = web.ask(
            self.place.client_port, "/v3/maintenance/status", host=self.place.host, body=b"{}"
        )
        return json.loads(answer.body) if answer is not None and answer.status == 200 else None

    def is_leader(self) -> bool:
        """Whether it leads the cluster, as far as it knows."""
        told = self.status()
        return told is not None and told.get("leader") == told["header"]["member_id"]

    def forget(self, prefix: str) -> None:
        """Delete every key that begins so; `Unreachable` where it cannot."""
        begin = prefix.encode()
        # The first key that does not begin so: its last byte is never the highest there is.
        end = begin[:-1] + bytes([begin[-1] + 1])
        keys = {"key": b64encode(begin).decode(), "range_end": b64encode(end).decode()}
        answer = web.ask(
            self.place.client_port,
            "/v3/kv/deleterange",
            host=self.place.host,
            body=json.dumps(keys).encode(),
        )
        if answer is None or answer.status != 200:
            raise Unreachable(f"{self.place.name} did not delete {prefix}: {answer}")


def etcd_version() -> str:
    """The version that would be started."""
    return version_of(etcd_program())


def etcd_places(folder: Path, count: int) -> list[Place]:
    """Places for the members of a fresh cluster, on free ports."""
    ports = free_ports(2 * count)
    return [
        Place(
            name=f"etcd-{at + 1}",
            folder=folder / f"etcd-{at + 1}",
            client_port=ports[2 * at],
            peer_port=ports[2 * at + 1],
        )
        for at in range(count)
    ]


def etcd_members(
    places: Sequence[Place], *, words: Sequence[str] = (), mark: str = ""
) -> list[Member]:
    """The members of a cluster, not started yet; `words` are further options of each."""
    program = etcd_program()
    everybody = ",".join(f"{place.name}={place.peer_url}" for place in places)
    return [_member(program, place, everybody, words, mark) for place in places]


def _member(program: Path, place: Place, everybody: str, words: Sequence[str], mark: str) -> Member:
    clients, peers = place.client_url, place.peer_url
    command: list[str | Path] = [
        *place.prefix,
        program,
        *("--name", place.name, "--data-dir", place.folder / "member"),
        *("--listen-client-urls", clients, "--advertise-client-urls", clients),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
        *("--initial-cluster", everybody, "--initial-cluster-token", mark or "laptop"),
        *("--log-level", "warn", *words),
    ]
    daemon = Daemon(
        place.name,
        command,
        place.folder,
        is_ready=lambda: _is_healthy(place),
        mark=mark,
    )
    return Member(place, daemon)


def _is_healthy(place: Place) -> bool:
    """Whether there is a leader; before that it answers with an error."""
    answer = web.ask(place.client_port, "/health", host=place.host)
    return answer is not None and answer.status == 200 and b'"true"' in answer.body
