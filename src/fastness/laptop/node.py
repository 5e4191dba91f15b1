"""A node: `fastness serve` as a member of the cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from fastness.laptop import web
from fastness.laptop.daemon import Daemon
from fastness.laptop.ports import HOST
from fastness.laptop.programs import importable


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a node is."""

    name: str
    folder: Path
    port: int
    admin_port: int
    host: str = HOST
    prefix: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """For clients and other nodes."""
        return f"{self.host}:{self.port}"


@dataclass(slots=True)
class NodeMember:
    """One node: where it is, and its process."""

    place: Place
    daemon: Daemon = field(repr=False)

    def ranges(self) -> list[int]:
        """The ranges that it serves; none where it does not answer."""
        answer = web.ask(self.place.admin_port, "/status", host=self.place.host)
        if answer is None or answer.status != 200:
            return []
        return [one.range for one in msgspec.json.decode(answer.body, type=_Status).ranges]


class _Range(msgspec.Struct, frozen=True):
    range: int


class _Status(msgspec.Struct, frozen=True):
    """What a node tells of itself, as far as it is of interest here."""

    ranges: list[_Range] = []


def new_node(
    place: Place, *, coordinator: str, mark: str = "", words: Sequence[str] = ()
) -> NodeMember:
    """A node that is not started; `words` are further ones of `fastness serve`."""
    command = [
        *place.prefix,
        *(sys.executable, "-m", "fastness.cli", "serve", "--json"),
        *("--coordinator", coordinator, "--name", place.name),
        *("--listen", place.address, "--advertise", place.address),
        *("--admin", f"{place.host}:{place.admin_port}"),
        *words,
    ]
    daemon = Daemon(
        place.name,
        command,
        place.folder,
        is_ready=lambda: _is_ready(place),
        environment=importable(),
        mark=mark,
    )
    return NodeMember(place, daemon)


def _is_ready(place: Place) -> bool:
    """Whether it serves."""
    answer = web.ask(place.admin_port, "/readyz", host=place.host)
    return answer is not None and answer.status == 200
