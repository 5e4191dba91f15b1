"""Users and spaces: who owns which tree, how much it holds and how much it may.

How much a space holds is a sum kept by atomic additions: adding files in one space from many
clients at once never conflicts on it. See `require_room` for how a quota is held all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import getrandbits

from examples.files.errors import NameTaken, NotFound, OverQuota
from examples.files.names import require_name
from examples.files.recording import record
from examples.files.schema import ROOT, Action, Entry, Kind, Space, SpaceId, User
from fastness import Transaction, to_datetime, transactional
from fastness.errors import RecordExists, UniqueViolation
from fastness.model import Listing

QUOTA_MARGIN = 10
"""The last tenth of a quota is guarded by validated reads."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a space holds, the trash included."""

    entries: int
    bytes_used: int
    quota: int


@transactional
def create_user(tx: Transaction, user: str, name: str = "") -> User:
    """Register a user; `NameTaken` when there is one already."""
    require_name(user)
    try:
        return tx.insert(User(id=user, name=name))
    except RecordExists as error:
        raise NameTaken(f"there already is a user {user!r}") from error


@transactional
def create_space(
    tx: Transaction, owner: str, name: str, *, quota: int, space: SpaceId | None = None
) -> Space:
    """Make a space with an empty root folder; one owner's spaces have different names."""
    require_name(name)
    if tx.fetch(User, owner) is None:
        raise NotFound(f"there is no user {owner!r}: register them with create_user")
    made = Space(id=space or SpaceId(getrandbits(48)), owner=owner, name=name, quota=quota)
    try:
        tx.insert(made)
    except UniqueViolation as error:
        raise NameTaken(f"{owner} already has a space {name!r}") from error
    moment = to_datetime(tx.read_timestamp)
    root = tx.insert(Entry(space=made.id, id=ROOT, name="", kind=Kind.FOLDER, modified=moment))
    record(tx, Action.CREATED, root)
    return made


@transactional
def get_space(tx: Transaction, space: SpaceId) -> Space:
    """The space, or `NotFound`."""
    found = tx.fetch(Space, space)
    if found is None:
        raise NotFound(f"there is no space {space}")
    return found


@transactional
def spaces_of(tx: Transaction, owner: str, *, limit: int = 100) -> Listing[Space]:
    """The spaces a user owns, by name."""
    return tx.query(Space.by_owner, owner, limit=limit)


@transactional
def set_quota(tx: Transaction, space: SpaceId, quota: int) -> Space:
    """Allow the space to hold `quota` bytes. Below what it holds, it can only shrink."""
    get_space(tx, space)
    return tx.patch(Space, space, quota=quota)


@transactional
def usage(tx: Transaction, space: SpaceId) -> Usage:
    """How much the space holds, its root included."""
    return Usage(
        entries=tx.total(Entry.entries, space),
        bytes_used=tx.total(Entry.bytes_used, space),
        quota=get_space(tx, space).quota,
    )


def require_room(tx: Transaction, space: SpaceId, growth: int) -> None:
    """Refuse to grow a space by so many bytes beyond its quota (`OverQuota`).

    Far from the quota the sum is read without validation, so that concurrent writers do not
    conflict. Within the last tenth it is read with validation: two writers that both still
    fit but not together conflict, and the second one sees the first one's bytes. The quota
    can be passed only by writers who together add more than a tenth of it in the moment
    between one's read and its commit.
    """
    quota = get_space(tx, space).quota
    if growth <= 0:
        return
    used = tx.total(Entry.bytes_used, space, snapshot=True)
    if used + growth > quota - quota // QUOTA_MARGIN:
        used = tx.total(Entry.bytes_used, space)
    if used + growth > quota:
        raise OverQuota(
            f"space {space} holds {used:,} of {quota:,} bytes; {growth:,} more do not fit: remove "
            "something and purge the trash, or raise the quota"
        )
