"""The files service, operation by operation: what it answers and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from examples.files import service
from examples.files.demo.checking import check_space
from examples.files.errors import (
    Forbidden,
    Forgotten,
    InTrash,
    InvalidName,
    NameTaken,
    NotFound,
    Outdated,
    OverQuota,
    WouldFormCycle,
    WrongKind,
)
from examples.files.schema import ROOT, Action, EntryId, Kind, Role, SpaceId
from fastness import Database, Transaction, transactional
from tests.examples.conftest import QUOTA


def make_path(db: Database, space: SpaceId, path: str) -> EntryId:
    """Folders along a path; the id of the last one."""
    folder = ROOT
    for name in path.split("/"):
        folder = service.create_folder(db, space, folder, name).id
    return folder


def names(db: Database, space: SpaceId, folder: EntryId) -> list[str]:
    """What a listing shows."""
    return [entry.name for entry in service.list_folder(db, space, folder)]


def test_lookup_follows_a_path(db: Database, space: SpaceId) -> None:
    """An entry is found by its path, with or without a leading slash, and knows its path."""
    docs = make_path(db, space, "a/b/docs")
    plan = service.create_file(db, space, docs, "plan.txt", size=5, content=b"hash")
    assert service.lookup(db, space, "a/b/docs/plan.txt") == plan
    assert service.lookup(db, space, "/a/b/docs/") == service.get_entry(db, space, docs)
    assert service.path_of(db, space, plan.id) == "/a/b/docs/plan.txt"
    assert service.lookup(db, space, "/").id == ROOT
    assert service.path_of(db, space, ROOT) == "/"


def test_lookup_names_what_is_missing(db: Database, space: SpaceId) -> None:
    """A path that leads nowhere is refused with the first name that is not there."""
    make_path(db, space, "a/b")
    with pytest.raises(NotFound, match="no 'c' in 'b'"):
        service.lookup(db, space, "a/b/c/d")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "nul\0", "x" * 1025, "\udcff"])
def test_names_no_entry_can_have(db: Database, space: SpaceId, name: str) -> None:
    """Names that would break paths, or are no text, are refused and shown."""
    with pytest.raises(InvalidName):
        service.create_file(db, space, ROOT, name)
    with pytest.raises(InvalidName):
        service.move(db, space, make_path(db, space, "a"), name=name)


def test_longest_names_are_kept(db: Database, space: SpaceId) -> None:
    """A name of 1,024 bytes is an ordinary name, in ASCII and in any other script."""
    for name in ("x" * 1024, "ж" * 512):
        made = service.create_file(db, space, ROOT, name)
        assert service.lookup(db, space, name) == made


def test_listing_is_in_order_and_paged(db: Database, space: SpaceId) -> None:
    """Pages of a listing join to all names in order, none twice."""
    wanted = sorted(f"file {number}" for number in range(25))
    for name in reversed(wanted):
        service.create_file(db, space, ROOT, name)
    found: list[str] = []
    continuation: str | None = None
    pages = 0
    while continuation is not None or not pages:
        page = service.list_folder(db, space, ROOT, limit=10, continuation=continuation)
        found += [entry.name for entry in page]
        continuation = page.continuation
        pages += 1
    assert (found, pages) == (wanted, 3)


def test_a_name_is_taken_once(db: Database, space: SpaceId) -> None:
    """Files and folders share the names of a folder; another folder has its own."""
    folder = make_path(db, space, "a")
    with pytest.raises(NameTaken):
        service.create_file(db, space, ROOT, "a")
    service.create_file(db, space, folder, "a")
    other = service.create_file(db, space, ROOT, "b").id
    with pytest.raises(NameTaken):
        service.move(db, space, other, folder=folder, name="a")
    assert names(db, space, ROOT) == ["a", "b"]


def test_only_folders_hold_entries(db: Database, space: SpaceId) -> None:
    """Nothing can be created in, moved into or listed of a file."""
    file = service.create_file(db, space, ROOT, "f").id
    other = service.create_file(db, space, ROOT, "g").id
    with pytest.raises(WrongKind):
        service.create_file(db, space, file, "x")
    with pytest.raises(WrongKind):
        service.move(db, space, other, folder=file)
    with pytest.raises(WrongKind):
        service.list_folder(db, space, file)


def test_moving_a_folder_moves_everything_below(db: Database, space: SpaceId) -> None:
    """One changed record is enough for all paths below it to change."""
    deep = make_path(db, space, "a/b/c")
    file = service.create_file(db, space, deep, "f").id
    service.move(db, space, service.lookup(db, space, "a/b").id, folder=ROOT, name="moved")
    assert service.path_of(db, space, file) == "/moved/c/f"
    assert names(db, space, ROOT) == ["a", "moved"]
    moved = [c.entry.name for c in service.changes(db, space).items if c.action is Action.MOVED]
    assert moved == ["moved"]


@pytest.mark.parametrize("into", ["a", "a/b", "a/b/c"])
def test_a_folder_cannot_go_into_itself(db: Database, space: SpaceId, into: str) -> None:
    """Moving a folder into itself or anything below it is refused and changes nothing."""
    make_path(db, space, "a/b/c")
    moved = service.lookup(db, space, "a").id
    with pytest.raises(WouldFormCycle):
        service.move(db, space, moved, folder=service.lookup(db, space, into).id)
    assert service.path_of(db, space, service.lookup(db, space, "a/b/c").id) == "/a/b/c"


def test_no_cycle_through_the_trash(db: Database, space: SpaceId) -> None:
    """Neither a move into a deleted tree nor a restore can close a cycle."""
    make_path(db, space, "p/a/b")
    parent, trashed = (service.lookup(db, space, path).id for path in ("p", "p/a"))
    inside = service.lookup(db, space, "p/a/b").id
    service.delete(db, space, trashed)
    with pytest.raises(WouldFormCycle):
        service.move(db, space, parent, folder=inside)
    with pytest.raises(WouldFormCycle):
        service.restore(db, space, trashed, folder=inside)
    assert not check_space(db, space).problems


def test_the_root_stays(db: Database, space: SpaceId) -> None:
    """The root can be neither moved nor deleted."""
    folder = make_path(db, space, "a")
    with pytest.raises(WrongKind):
        service.move(db, space, ROOT, folder=folder)
    with pytest.raises(WrongKind):
        service.delete(db, space, ROOT)


def test_deleting_hides_and_restoring_brings_back(db: Database, space: SpaceId) -> None:
    """A deleted folder takes what is in it along, in both directions."""
    folder = make_path(db, space, "a/b")
    file = service.create_file(db, space, folder, "f").id
    top = service.lookup(db, space, "a").id
    service.delete(db, space, top)
    assert names(db, space, ROOT) == []
    assert [entry.id for entry in service.list_trash(db, space)] == [top]
    assert service.recent_files(db, space) == []
    with pytest.raises(NotFound):
        service.lookup(db, space, "a/b/f")
    with pytest.raises(InTrash):
        service.path_of(db, space, file)
    with pytest.raises(InTrash):
        service.create_file(db, space, top, "g")
    service.restore(db, space, top)
    assert service.path_of(db, space, file) == "/a/b/f"
    assert [entry.id for entry in service.recent_files(db, space)] == [file]


def test_restoring_where_the_name_is_taken(db: Database, space: SpaceId) -> None:
    """A restore never overwrites: it is refused, and works under another name or elsewhere."""
    old = service.create_file(db, space, ROOT, "f").id
    service.delete(db, space, old)
    service.create_file(db, space, ROOT, "f")
    with pytest.raises(NameTaken):
        service.restore(db, space, old)
    assert service.restore(db, space, old, name="f (old)").deleted is None
    assert names(db, space, ROOT) == ["f", "f (old)"]


def test_restoring_from_a_deleted_folder(db: Database, space: SpaceId) -> None:
    """What was deleted before its folder was comes back elsewhere, or after the folder."""
    folder = make_path(db, space, "a")
    file = service.create_file(db, space, folder, "f").id
    service.delete(db, space, file)
    service.delete(db, space, folder)
    with pytest.raises(InTrash):
        service.restore(db, space, file)
    service.restore(db, space, file, folder=ROOT)
    assert names(db, space, ROOT) == ["f"]


def test_purging_removes_everything_below(db: Database, space: SpaceId) -> None:
    """A purge in small steps leaves no entry, revision or share, and frees the bytes."""
    folder = make_path(db, space, "a/b")
    for number in range(7):
        service.create_file(db, space, folder, f"f{number}", size=100)
    written = service.lookup(db, space, "a/b/f0").id
    service.write(db, space, written, size=150, content=b"new")
    service.delete(db, space, service.lookup(db, space, "a/b/f1").id)
    service.share(db, space, folder, "bob", Role.READER)
    top = service.lookup(db, space, "a").id
    with pytest.raises(NotFound):
        service.purge(db, space, top)
    service.delete(db, space, top)
    assert service.purge(db, space, top, step=2) == 9
    assert service.usage(db, space) == service.Usage(entries=1, bytes_used=0, quota=QUOTA)
    assert not service.shared_with(db, "bob").items
    with pytest.raises(NotFound):
        service.restore(db, space, top)
    assert check_space(db, space).problems == []


def test_writing_keeps_revisions(db: Database, space: SpaceId) -> None:
    """Every content a file had is told, newest first, and a stale writer is refused."""
    file = service.create_file(db, space, ROOT, "f", size=1, content=b"one").id
    service.write(db, space, file, size=2, content=b"two", if_revision=1)
    with pytest.raises(Outdated, match="revision 2, not 1"):
        service.write(db, space, file, size=3, content=b"three", if_revision=1)
    told = [(r.number, r.size, r.content) for r in service.revisions(db, space, file)]
    assert told == [(2, 2, b"two"), (1, 1, b"one")]


def test_the_same_content_is_found(db: Database, space: SpaceId) -> None:
    """Files with one content are found by its hash, wherever they are."""
    one = service.create_file(db, space, ROOT, "one", content=b"same").id
    two = service.create_file(db, space, make_path(db, space, "a"), "two", content=b"same").id
    service.create_file(db, space, ROOT, "three", content=b"other")
    assert {entry.id for entry in service.copies_of(db, space, b"same")} == {one, two}


def test_recent_files_come_newest_first(db: Database, space: SpaceId) -> None:
    """The files written last are listed first, folders not at all."""
    for year, name in ((2001, "a"), (2003, "b"), (2002, "c")):
        modified = datetime(year, 1, 1, tzinfo=UTC)
        service.create(db, space, service.Draft(folder=ROOT, name=name, modified=modified))
    make_path(db, space, "folder")
    assert [entry.name for entry in service.recent_files(db, space, limit=2)] == ["b", "c"]
    service.write(db, space, service.lookup(db, space, "a").id, size=1, content=b"1")
    assert [entry.name for entry in service.recent_files(db, space)] == ["a", "b", "c"]


def test_the_quota_holds(db: Database, space: SpaceId) -> None:
    """Creates and writes beyond the quota are refused; shrinking and raising it help."""
    file = service.create_file(db, space, ROOT, "big", size=QUOTA - 10).id
    with pytest.raises(OverQuota):
        service.create_file(db, space, ROOT, "more", size=11)
    with pytest.raises(OverQuota):
        service.write(db, space, file, size=QUOTA + 1, content=b"")
    service.write(db, space, file, size=10, content=b"")
    service.create_file(db, space, ROOT, "more", size=11)
    service.set_quota(db, space, 5)
    service.write(db, space, file, size=9, content=b"")
    with pytest.raises(OverQuota):
        service.write(db, space, file, size=10, content=b"")


def test_roles_come_from_above(db: Database, space: SpaceId) -> None:
    """A role holds in a folder and below; the highest one counts; the owner has all."""
    make_path(db, space, "a/b")
    top, below = (service.lookup(db, space, path).id for path in ("a", "a/b"))
    assert service.role_of(db, space, below, "bob") is None
    service.share(db, space, top, "bob", Role.EDITOR)
    service.share(db, space, below, "bob", Role.READER)
    assert service.role_of(db, space, below, "bob") is Role.EDITOR
    assert service.role_of(db, space, ROOT, "bob") is None
    assert service.role_of(db, space, ROOT, "ann") is Role.OWNER
    service.unshare(db, space, top, "bob")
    with pytest.raises(Forbidden, match="needs the role editor"):
        service.require_role(db, space, below, "bob", Role.EDITOR)
    assert [share.folder for share in service.shared_with(db, "bob")] == [below]
    assert [share.user for share in service.members(db, space, below)] == ["bob"]


def test_operations_join_a_transaction(db: Database, space: SpaceId) -> None:
    """Several operations in the caller's transaction happen together or not at all."""
    folder = make_path(db, space, "a")

    @transactional
    def rename_for(tx: Transaction, user: str, name: str) -> None:
        service.move(tx, space, folder, name=name)
        service.require_role(tx, space, folder, user, Role.EDITOR)

    with pytest.raises(Forbidden):
        rename_for(db, "bob", "b")
    assert names(db, space, ROOT) == ["a"]
    rename_for(db, "ann", "b")
    assert names(db, space, ROOT) == ["b"]


def test_what_does_not_exist_is_not_found(db: Database, space: SpaceId) -> None:
    """Unknown spaces, entries, users and shares are refused by name."""
    nowhere, nothing = SpaceId(12345), EntryId(12345)
    for refused in (
        lambda: service.create_file(db, nowhere, ROOT, "f"),
        lambda: service.list_folder(db, nowhere, ROOT),
        lambda: service.get_entry(db, space, nothing),
        lambda: service.create_file(db, space, nothing, "f"),
        lambda: service.move(db, space, nothing, name="x"),
        lambda: service.share(db, space, ROOT, "nobody", Role.READER),
        lambda: service.unshare(db, space, ROOT, "bob"),
        lambda: service.create_space(db, "nobody", "home", quota=1),
    ):
        with pytest.raises(NotFound):
            refused()


def test_spaces_of_an_owner(db: Database, space: SpaceId) -> None:
    """An owner's spaces are listed by name, names are their own, users are registered once."""
    service.create_space(db, "ann", "attic", quota=1)
    service.create_space(db, "bob", "home", quota=1)
    assert [found.name for found in service.spaces_of(db, "ann")] == ["attic", "home"]
    with pytest.raises(NameTaken):
        service.create_space(db, "ann", "home", quota=1)
    with pytest.raises(NameTaken):
        service.create_user(db, "ann")
    assert service.get_space(db, space).owner == "ann"


def test_the_journal_goes_on_from_a_cursor(db: Database, space: SpaceId) -> None:
    """Reading page by page from the cursor shows every change once, in order."""
    for number in range(5):
        service.create_file(db, space, ROOT, f"f{number}")
    first = service.changes(db, space, limit=4)
    assert not first.complete
    rest = service.changes(db, space, since=first.cursor)
    assert rest.complete
    told = [change.entry.name for change in [*first.items, *rest.items]]
    assert told == ["", "f0", "f1", "f2", "f3", "f4"]
    assert service.changes(db, space, since=rest.cursor).items == []
    service.delete(db, space, rest.items[-1].entry.id)
    later = service.changes(db, space, since=rest.cursor)
    assert [(c.action, c.entry.name) for c in later.items] == [(Action.DELETED, "f4")]


def test_a_forgotten_journal_refuses_old_cursors(db: Database, space: SpaceId) -> None:
    """Trimmed in small steps, it serves newer cursors, and no reader misses a line unawares."""
    for number in range(6):
        service.create_file(db, space, ROOT, f"f{number}")
    first = service.changes(db, space, limit=2)
    middle = service.changes(db, space, since=first.cursor, limit=3)
    assert service.forget_changes(db, space, through=middle.cursor, step=2) == 5
    assert service.forget_changes(db, space, through=first.cursor) == 0
    for old in (service.BEGINNING, first.cursor):
        with pytest.raises(Forgotten):
            service.changes(db, space, since=old)
    rest = service.changes(db, space, since=middle.cursor)
    assert [change.entry.name for change in rest.items] == ["f4", "f5"]
    assert service.now_cursor(db, space) == rest.cursor
    with pytest.raises(NotFound):
        service.forget_changes(db, space, through=b"\xff" * 12)
    service.forget_changes(db, space, through=rest.cursor)
    assert service.now_cursor(db, space) == rest.cursor


def test_a_listing_and_a_cursor_fit_together(db: Database, space: SpaceId) -> None:
    """A reader that lists and takes the cursor at one snapshot hears of everything later."""
    assert service.now_cursor(db, space) > service.BEGINNING
    with db.transaction(read_only=True) as tx:
        # Behind a server the snapshot is taken by the first read.
        assert not service.list_folder(tx, space, ROOT).items
        service.create_file(db, space, ROOT, "later")
        assert not service.list_folder(tx, space, ROOT).items
        cursor = service.now_cursor(tx, space)
    heard = service.changes(db, space, since=cursor)
    assert [change.entry.name for change in heard.items] == ["later"]


def test_many_entries_in_one_transaction(db: Database, space: SpaceId) -> None:
    """A batch may hold folders and what is in them, and is refused as a whole."""
    folder = service.Draft(folder=ROOT, name="a", kind=Kind.FOLDER)
    inside = service.Draft(folder=folder.id, name="f", size=3)
    service.create_many(db, space, [folder, inside])
    assert service.lookup(db, space, "a/f").size == 3
    with pytest.raises(NameTaken):
        service.create_many(
            db,
            space,
            [service.Draft(folder=ROOT, name="b"), service.Draft(folder=folder.id, name="f")],
        )
    assert names(db, space, ROOT) == ["a"]
