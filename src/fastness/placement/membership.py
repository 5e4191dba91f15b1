"""Which cluster this is, what stores it has, and which nodes live: records at the coordinator.

`fastness cluster init` writes the cluster's record once; its id is also written into every store,
so that neither a store nor a coordinator's prefix is ever used by two clusters. The record holds
the secret by which nodes know each other: whoever reads the coordinator's keys may change them,
and with them every lease, so a secret kept anywhere else would protect nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from fastness.errors import ForeignStore, InvalidEncoding, InvalidOption, ProtocolMismatch
from fastness.placement.coordinator import CLUSTER, NAMES, NODES, STORES, Entry

CLUSTER_FORMAT = 1
"""Of the keys and records at the coordinator."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

Record = TypeVar("Record", bound="ClusterRecord | StoreRecord | NodeRecord")


class ClusterRecord(msgspec.Struct, frozen=True, array_like=True):
    """One cluster. `secret` is what its nodes show each other, and operators' tools show nodes."""

    id: str
    secret: str
    protocol: int
    """Of the wire: a node that does not speak it stays out."""
    format: int = CLUSTER_FORMAT

    def __repr__(self) -> str:
        return f"ClusterRecord({self.id!r}, protocol={self.protocol}, format={self.format})"


class StoreRecord(msgspec.Struct, frozen=True, array_like=True):
    """A store by the name that descriptors use; `url` may hold a password, so it is not shown."""

    name: str
    url: str
    allow_unreplicated: bool = False
    """The operator has said, by name, that its commits may rest on one server alone."""
    identity: str = ""
    """What the store calls itself: another one at this URL must not be taken for it."""

    def __repr__(self) -> str:
        return f"StoreRecord({self.name!r}, allow_unreplicated={self.allow_unreplicated})"


class NodeRecord(msgspec.Struct, frozen=True, array_like=True):
    """A node that lives; `name` is empty for one that was given none."""

    session: int
    name: str = ""
    version: str = ""
    """Of the program."""


_encode = msgspec.msgpack.Encoder().encode


def store_key(name: str) -> str:
    """The coordinator's key of a store's record."""
    return f"{STORES}{name}"


def name_key(name: str) -> str:
    """The coordinator's key that says which node goes by a name."""
    return f"{NAMES}{name}"


def encode_record(record: ClusterRecord | StoreRecord | NodeRecord) -> bytes:
    """The bytes a record is kept as."""
    return _encode(record)


def _decode(data: bytes, kind: type[Record]) -> Record:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise InvalidEncoding(
            f"the coordinator holds a {kind.__name__} that cannot be read ({error}): it was "
            "written by another program or version"
        ) from error


def cluster_in(entries: Mapping[str, Entry]) -> ClusterRecord | None:
    """The cluster's record among these entries; raises for one of another format."""
    entry = entries.get(CLUSTER)
    if entry is None:
        return None
    record = _decode(entry.value, ClusterRecord)
    if record.format != CLUSTER_FORMAT:
        raise ForeignStore(
            f"cluster {record.id} keeps format {record.format} at the coordinator, this program "
            f"knows {CLUSTER_FORMAT}: use the version that wrote it, or upgrade this one"
        )
    return record


def stores_in(entries: Mapping[str, Entry]) -> dict[str, StoreRecord]:
    """The stores registered among these entries, by name, in the order of names."""
    return {
        key.removeprefix(STORES): _decode(entries[key].value, StoreRecord)
        for key in sorted(entries)
        if key.startswith(STORES)
    }


def nodes_in(entries: Mapping[str, Entry]) -> dict[str, NodeRecord]:
    """The living nodes among these entries, by address, in the order of addresses."""
    return {
        key.removeprefix(NODES): _decode(entries[key].value, NodeRecord)
        for key in sorted(entries)
        if key.startswith(NODES)
    }


def require_protocol(record: ClusterRecord, spoken: tuple[int, ...]) -> None:
    """Raise unless a program that speaks these versions of the wire may join the cluster."""
    if record.protocol not in spoken:
        raise ProtocolMismatch(
            f"cluster {record.id} speaks version {record.protocol} of the protocol, this program "
            f"{list(spoken)}: upgrade the older side"
        )


def require_name(name: str, what: str) -> None:
    """Raise unless this may be the name of a node or a store."""
    if not _NAME.fullmatch(name):
        raise InvalidOption(
            f"{what} name {name!r} is not 1 to 63 letters, digits and any of _.- after the first: "
            f"choose one such as '{what}-1'"
        )
