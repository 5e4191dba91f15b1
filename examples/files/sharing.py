"""Who may do what: shares of folders, and the role a user has in an entry.

A role in a folder is a role in everything below it, wherever that is moved later; the owner
of a space has every role in it. The functions of the other modules ask for no role. A caller
who acts for a user asks in the same transaction, so that a share taken back at the same
moment is either seen or comes after::

    @transactional
    def rename_for(tx, user, space, entry, name):
        require_role(tx, space, entry, user, Role.EDITOR)
        return move(tx, space, entry, name=name)
"""

from __future__ import annotations

from examples.files.errors import Forbidden, NotFound
from examples.files.recording import record
from examples.files.schema import Action, EntryId, Role, Share, SpaceId, User
from examples.files.spaces import get_space
from examples.files.tree import ancestors, get_entry, get_folder
from fastness import Transaction, to_datetime, transactional
from fastness.model import Listing


@transactional
def share(tx: Transaction, space: SpaceId, folder: EntryId, user: str, role: Role) -> Share:
    """Give a user a role in a folder, or another role than before."""
    shared = get_folder(tx, space, folder)
    if tx.fetch(User, user) is None:
        raise NotFound(f"there is no user {user!r}: register them with create_user")
    since = to_datetime(tx.read_timestamp)
    made = tx.put(Share(space=space, folder=folder, user=user, role=role, since=since))
    record(tx, Action.SHARED, shared, user=user, role=role)
    return made


@transactional
def unshare(tx: Transaction, space: SpaceId, folder: EntryId, user: str) -> None:
    """Take a share back; `NotFound` when there is none."""
    shared = get_folder(tx, space, folder)
    if tx.remove(Share, space, folder, user) is None:
        raise NotFound(f"{shared.name!r} is not shared with {user!r}")
    record(tx, Action.UNSHARED, shared, user=user)


@transactional
def members(
    tx: Transaction, space: SpaceId, folder: EntryId, *, continuation: str | None = None
) -> Listing[Share]:
    """Who was given a role in this folder itself, a page by user."""
    return tx.query(Share.by_source, space, folder, continuation=continuation)


@transactional
def shared_with(tx: Transaction, user: str, *, continuation: str | None = None) -> Listing[Share]:
    """What a user was given a role in, over all spaces, a page."""
    return tx.query(Share.by_target, user, continuation=continuation)


@transactional
def role_of(tx: Transaction, space: SpaceId, entry: EntryId, user: str) -> Role | None:
    """The highest role a user has in an entry: through it or any folder above it."""
    if get_space(tx, space).owner == user:
        return Role.OWNER
    given = (
        tx.fetch(Share, space, above.id, user)
        for above in ancestors(tx, get_entry(tx, space, entry))
    )
    return max((found.role for found in given if found is not None), default=None)


@transactional
def require_role(tx: Transaction, space: SpaceId, entry: EntryId, user: str, role: Role) -> None:
    """Refuse (`Forbidden`) unless the user has this role or a higher one."""
    found = role_of(tx, space, entry, user)
    if found is None or found < role:
        has = "none" if found is None else found.name.lower()
        raise Forbidden(
            f"{user!r} needs the role {role.name.lower()} in entry {entry} and has {has}: ask "
            "the owner of the space for a share"
        )
