"""The file-metadata service: every operation in one place.

    from examples.files import service
    from examples.files.schema import ROOT, SCHEMA

    with fastness.open("file:./files", schema=SCHEMA) as db:
        service.create_user(db, "ann")
        home = service.create_space(db, "ann", "home", quota=10**12)
        docs = service.create_folder(db, home.id, ROOT, "docs")
        service.create_file(db, home.id, docs.id, "plan.txt", size=5, content=b"...")
        service.move(db, home.id, docs.id, name="documents")
        service.lookup(db, home.id, "documents/plan.txt")

Each function is one transaction when given a database, and part of the caller's when given
a transaction; `purge` and `forget_changes` take a database, because they run several.
Conflicts are retried by the library; what the service refuses is in `examples.files.errors`.
"""

from examples.files.journal import BEGINNING, Changes, changes, forget_changes, now_cursor
from examples.files.sharing import members, require_role, role_of, share, shared_with, unshare
from examples.files.spaces import (
    Usage,
    create_space,
    create_user,
    get_space,
    set_quota,
    spaces_of,
    usage,
)
from examples.files.trash import delete, list_trash, purge, restore
from examples.files.tree import (
    Draft,
    copies_of,
    create,
    create_file,
    create_folder,
    create_many,
    get_entry,
    get_folder,
    list_folder,
    lookup,
    move,
    new_entry_id,
    path_of,
    recent_files,
    revisions,
    write,
)

__all__ = [
    "BEGINNING",
    "Changes",
    "Draft",
    "Usage",
    "changes",
    "copies_of",
    "create",
    "create_file",
    "create_folder",
    "create_many",
    "create_space",
    "create_user",
    "delete",
    "forget_changes",
    "get_entry",
    "get_folder",
    "get_space",
    "list_folder",
    "list_trash",
    "lookup",
    "members",
    "move",
    "new_entry_id",
    "now_cursor",
    "path_of",
    "purge",
    "recent_files",
    "require_role",
    "restore",
    "revisions",
    "role_of",
    "set_quota",
    "share",
    "shared_with",
    "spaces_of",
    "unshare",
    "usage",
    "write",
]
