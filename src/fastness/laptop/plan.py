"""What a folder's cluster consists of: written down before anything of it is started.

::

    cluster.json    identity, members and their ports, the versions that wrote the data
    secrets.json    passwords, for the owner alone
    READY           the servers of stores that were whole once: nothing of them is ever removed
    SUPERVISOR      locked by the process that runs the cluster; its process id
    etcd-1/ ...     one folder for each member: data, log, settings

What an interrupted `up` left of a server that is not in READY is removed by the next, and made
again: nobody was told that it is there. Everything else is resumed.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable
from pathlib import Path
from secrets import choice, token_hex
from typing import NamedTuple

import msgspec

from fastness.errors import AddressUnavailable, ForeignStore, InvalidOption
from fastness.laptop import etcd, patroni
from fastness.laptop.patroni import Passwords
from fastness.laptop.ports import HOST, free_ports, is_taken
from fastness.laptop.secret_files import write_secret

FORMAT = 1
ETCD_MEMBERS = 3
SIDES = "abc"
"""Which servers a store has: one is the primary."""
PLAN, SECRETS, READY = "cluster.json", "secrets.json", "READY"
SECRET_CHARACTERS = 24


class Size(NamedTuple):
    """How many of what."""

    nodes: int
    stores: int
    standbys: int
    """Of each store. With one, commits wait after a failover until the dead primary is back."""

    def or_as_told(self, *, nodes: int | None, stores: int | None, standbys: int | None) -> Size:
        """With what somebody said in its place."""
        return Size(
            self.nodes if nodes is None else nodes,
            self.stores if stores is None else stores,
            self.standbys if standbys is None else standbys,
        )


DEFAULT = Size(nodes=3, stores=2, standbys=1)
MOST = Size(nodes=16, stores=8, standbys=len(SIDES) - 1)


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member is: two ports, for what it serves and for how it is looked after."""

    name: str
    port: int
    other_port: int
    host: str = HOST


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All of `cluster.json`."""

    format: int
    id: str
    """Random: what the marks of its processes begin with."""
    postgresql_major: int
    etcd_series: str
    """Major and minor version, such as 3.4: data of a newer one is not read by an older."""
    etcd: list[Seat]
    stores: list[list[Seat]]
    """Each with its servers."""
    nodes: list[Seat]

    @property
    def size(self) -> Size:
        """How many of what it has."""
        standbys = max((len(sides) - 1 for sides in self.stores), default=1)
        return Size(len(self.nodes), len(self.stores), standbys)

    def seats(self) -> Iterable[Seat]:
        """Those of all members."""
        yield from self.etcd
        for sides in self.stores:
            yield from sides
        yield from self.nodes


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """All of `secrets.json`."""

    stores: dict[str, Passwords]


def store_name(at: int) -> str:
    """The name of a store, counted from 0."""
    return f"store-{at + 1}"


def read_plan(folder: Path) -> Plan | None:
    """What the folder holds, `None` if there is nothing yet; `ForeignStore` if it is not ours."""
    path = folder / PLAN
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        _refuse_foreign(folder)
        return None
    try:
        # The format first: what else another version wrote may look like anything.
        found = msgspec.json.decode(text, type=_Format).format
        if found != FORMAT:
            raise ForeignStore(
                f"{path} has format {found}, this version of Fastness reads {FORMAT}: use the "
                "version that made it, or name another --folder"
            )
        return msgspec.json.decode(text, type=Plan)
    except msgspec.DecodeError as error:
        raise ForeignStore(
            f"{path} is not what 'fastness cluster up' writes ({error}): name another --folder"
        ) from error


class _Format(msgspec.Struct, frozen=True):
    format: int


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ForeignStore(f"{folder} is a file, not a folder: name another --folder")
    there = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    if set(there) - {"SUPERVISOR", "supervisor.log", SECRETS, f"{PLAN}.new", f"{SECRETS}.new"}:
        raise ForeignStore(
            f"{folder} holds {', '.join(there[:5])} and no {PLAN}: name an empty or new --folder"
        )


def new_plan(
    size: Size, *, postgresql_major: int, etcd_series: str, host_of: Callable[[str], str]
) -> Plan:
    """A plan on free ports."""
    empty = Plan(
        format=FORMAT,
        id=token_hex(8),
        postgresql_major=postgresql_major,
        etcd_series=etcd_series,
        etcd=_seats((f"etcd-{at + 1}" for at in range(ETCD_MEMBERS)), [], host_of),
        stores=[],
        nodes=[],
    )
    return grown(empty, size, host_of)


def grown(plan: Plan, size: Size, host_of: Callable[[str], str]) -> Plan:
    """The plan with that size; `InvalidOption` where anything of it would be less."""
    for what, wanted, there, most in zip(
        Size._fields, size, plan.size if plan.stores else (0, 0, 1), MOST, strict=True
    ):
        if wanted < there:
            raise InvalidOption(
                f"--{what} {wanted} is fewer than the {there} in this folder: a cluster only grows "
                "by 'up'; leave the option out, or name another --folder"
            )
        if wanted > most:
            raise InvalidOption(f"--{what} {wanted} is more than a machine bears: at most {most}")
    stores, taken = [], list(plan.seats())
    for at in range(size.stores):
        kept = plan.stores[at] if at < len(plan.stores) else []
        names = [f"{store_name(at)}-{side}" for side in SIDES[len(kept) : size.standbys + 1]]
        more = _seats(names, taken, host_of)
        stores.append([*kept, *more])
        taken += more
    nodes = (f"node-{at + 1}" for at in range(len(plan.nodes), size.nodes))
    return msgspec.structs.replace(
        plan, stores=stores, nodes=[*plan.nodes, *_seats(nodes, taken, host_of)]
    )


def _seats(names: Iterable[str], taken: list[Seat], host_of: Callable[[str], str]) -> list[Seat]:
    found: list[Seat] = []
    for name in names:
        host = host_of(name)
        others = {port for seat in (*taken, *found) for port in (seat.port, seat.other_port)}
        # A member of the cluster that is down now holds its ports all the same.
        port, other, *_ = [one for one in free_ports(2 + len(others), host) if one not in others]
        found.append(Seat(name=name, port=port, other_port=other, host=host))
    return found


def write_plan(folder: Path, plan: Plan) -> None:
    """Put it there, whole."""
    write_secret(folder / PLAN, msgspec.json.format(msgspec.json.encode(plan)).decode())


def secrets_of(folder: Path, plan: Plan) -> Secrets:
    """Those of the folder; for stores that have none yet, new ones, written down first."""
    path = folder / SECRETS
    try:
        there = msgspec.json.decode(path.read_bytes(), type=Secrets).stores
    except FileNotFoundError:
        there = {}
    except msgspec.DecodeError as error:
        raise ForeignStore(
            f"{path} cannot be read ({error}): put it back from a copy, or name another --folder"
        ) from error
    names = [store_name(at) for at in range(len(plan.stores))]
    secrets = Secrets(stores={name: there.get(name) or _passwords() for name in names})
    if secrets.stores != there:
        write_secret(path, msgspec.json.format(msgspec.json.encode(secrets)).decode())
    return secrets


def _passwords() -> Passwords:
    return Passwords(**{name: _secret() for name in Passwords.__struct_fields__})


def _secret() -> str:
    return "".join(choice(string.ascii_letters + string.digits) for _ in range(SECRET_CHARACTERS))


def require_free(seats: Iterable[Seat]) -> None:
    """`AddressUnavailable` if somebody else listens where a member should."""
    for seat in seats:
        for port in (seat.port, seat.other_port):
            if is_taken(port, seat.host):
                raise AddressUnavailable(
                    f"port {port} of {seat.host}, which belongs to {seat.name}, is taken by "
                    "another process: 'ss -ltnp' shows who; stop it, or name another --folder"
                )


def etcd_place(folder: Path, seat: Seat, prefix: tuple[str, ...]) -> etcd.Place:
    """An etcd member's seat as its place."""
    return etcd.Place(
        name=seat.name,
        folder=folder / seat.name,
        client_port=seat.port,
        peer_port=seat.other_port,
        host=seat.host,
        prefix=prefix,
    )


def store_place(folder: Path, seat: Seat, prefix: tuple[str, ...]) -> patroni.Place:
    """The seat of a PostgreSQL and its Patroni as its place."""
    return patroni.Place(
        name=seat.name,
        folder=folder / seat.name,
        port=seat.port,
        rest_port=seat.other_port,
        host=seat.host,
        prefix=prefix,
    )
