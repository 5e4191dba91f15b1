"""Which operations of the files service conflict, and that what must conflict does.

Two transactions are begun before either commits: the interleaving is written down, not left
to chance. The last tests leave it to threads.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Thread

import pytest

from examples.files import service
from examples.files.demo.checking import check_space
from examples.files.errors import FilesError, NameTaken, OverQuota
from examples.files.schema import ROOT, EntryId, Role, SpaceId
from fastness import Database, Transaction
from fastness.errors import Conflict
from tests.examples.conftest import QUOTA

Operation = Callable[[Transaction], object]


def both(db: Database, first: Operation, second: Operation) -> None:
    """Run two operations on one snapshot and commit them one after the other."""
    with db.transaction() as one, db.transaction() as other:
        second(other)
        first(one)
        one.commit()


def conflict(db: Database, first: Operation, second: Operation) -> bool:
    """Whether the second of two overlapping operations is overtaken by the first."""
    try:
        both(db, first, second)
    except Conflict:
        return True
    return False


def test_creates_in_one_folder_do_not_conflict(db: Database, space: SpaceId) -> None:
    """Two creates of different names in one folder commit side by side, counters included."""
    assert not conflict(
        db,
        lambda tx: service.create_file(tx, space, ROOT, "a", size=1),
        lambda tx: service.create_file(tx, space, ROOT, "b", size=2),
    )
    assert service.usage(db, space).bytes_used == 3


def test_creates_of_one_name_conflict(db: Database, space: SpaceId) -> None:
    """Of two creates of one name the second runs again, and is then refused."""

    def create(tx: Transaction) -> object:
        return service.create_file(tx, space, ROOT, "a")

    assert conflict(db, create, create)
    with pytest.raises(NameTaken):
        service.create_file(db, space, ROOT, "a")


def test_rename_and_create_of_one_name_conflict(db: Database, space: SpaceId) -> None:
    """A name taken by a rename is taken for a create at the same moment."""
    file = service.create_file(db, space, ROOT, "a").id
    assert conflict(
        db,
        lambda tx: service.move(tx, space, file, name="b"),
        lambda tx: service.create_file(tx, space, ROOT, "b"),
    )


@pytest.mark.parametrize("delete_first", [True, False])
def test_deleting_a_folder_conflicts_with_creating_in_it(
    db: Database, space: SpaceId, *, delete_first: bool
) -> None:
    """No entry comes into a folder whose deletion it did not see."""
    folder = service.create_folder(db, space, ROOT, "a").id

    def delete(tx: Transaction) -> object:
        return service.delete(tx, space, folder)

    def create(tx: Transaction) -> object:
        return service.create_file(tx, space, folder, "f")

    if delete_first:
        assert conflict(db, delete, create)
    else:
        # The create committed first: the deletion takes the new file along, seen or not.
        assert not conflict(db, create, delete)
    assert check_space(db, space).problems == []


def test_crossing_moves_conflict(db: Database, space: SpaceId) -> None:
    """A into B and B into A: each alone is fine, so the second must run again."""
    a = service.create_folder(db, space, ROOT, "a").id
    b = service.create_folder(db, space, ROOT, "b").id
    assert conflict(
        db,
        lambda tx: service.move(tx, space, a, folder=b),
        lambda tx: service.move(tx, space, b, folder=a),
    )
    assert check_space(db, space).problems == []


def test_crossing_moves_far_below_conflict(db: Database, space: SpaceId) -> None:
    """The same where each goes deep into the other: the ancestors read are validated."""
    a, b = (service.create_folder(db, space, ROOT, name).id for name in "ab")
    deep_a = service.create_folder(db, space, service.create_folder(db, space, a, "x").id, "y").id
    deep_b = service.create_folder(db, space, service.create_folder(db, space, b, "x").id, "y").id
    assert conflict(
        db,
        lambda tx: service.move(tx, space, a, folder=deep_b),
        lambda tx: service.move(tx, space, b, folder=deep_a),
    )
    assert check_space(db, space).problems == []


def test_purging_conflicts_with_creating_below(db: Database, space: SpaceId) -> None:
    """A folder is not removed for good under a file that comes into it at that moment."""
    top = service.create_folder(db, space, ROOT, "a").id
    below = service.create_folder(db, space, top, "b").id
    service.delete(db, space, top)
    with db.transaction() as tx:
        service.create_file(tx, space, below, "f")
        assert service.purge(db, space, top) == 2
        with pytest.raises(Conflict):
            tx.commit()
    assert check_space(db, space).problems == []


def test_quota_far_away_costs_no_conflict(db: Database, space: SpaceId) -> None:
    """As long as there is plenty of room, writers do not wait for one another's bytes."""
    assert not conflict(
        db,
        lambda tx: service.create_file(tx, space, ROOT, "a", size=QUOTA // 3),
        lambda tx: service.create_file(tx, space, ROOT, "b", size=QUOTA // 3),
    )


def test_quota_nearby_is_never_passed(db: Database, space: SpaceId) -> None:
    """Two files that fit alone but not together: the second runs again, and is refused."""
    service.create_file(db, space, ROOT, "most", size=QUOTA - 100)

    def create(name: str) -> Operation:
        return lambda tx: service.create_file(tx, space, ROOT, name, size=60)

    assert conflict(db, create("a"), create("b"))
    with pytest.raises(OverQuota):
        db.run(create("b"))


def test_sharing_conflicts_only_with_its_folder(db: Database, space: SpaceId) -> None:
    """A share does not disturb creates in the folder, but its deletion."""
    folder = service.create_folder(db, space, ROOT, "a").id

    def share(tx: Transaction) -> object:
        return service.share(tx, space, folder, "bob", Role.READER)

    assert not conflict(db, lambda tx: service.create_file(tx, space, folder, "f"), share)
    assert conflict(db, lambda tx: service.delete(tx, space, folder), share)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run `work(number)` in so many threads; the first error is raised here."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's thread
            errors.append(error)

    threads = [Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_moves_of_many_threads_never_form_a_cycle(db: Database, space: SpaceId) -> None:
    """Eight threads move eight folders into each other at random: a tree remains a tree."""
    folders = [service.create_folder(db, space, ROOT, f"f{n}").id for n in range(8)]

    def move(number: int) -> None:
        random = Random(number)
        for _ in range(40):
            moved, into = random.choice(folders), random.choice([ROOT, *folders])
            try:
                service.move(db, space, moved, folder=into)
            except FilesError:
                continue

    in_threads(8, move)
    assert check_space(db, space).problems == []


def test_quota_holds_against_many_threads(db: Database, space: SpaceId) -> None:
    """Threads that fill the last tenth of a space file by file stop exactly at the quota."""
    size = QUOTA // 200
    service.create_file(db, space, ROOT, "most", size=QUOTA - 10 * size)

    def fill(number: int) -> None:
        for at in range(5):
            try:
                service.create_file(db, space, ROOT, f"{number} {at}", size=size)
            except OverQuota:
                return

    in_threads(8, fill)
    assert service.usage(db, space).bytes_used == QUOTA


def test_one_of_many_threads_gets_a_name(db: Database, space: SpaceId) -> None:
    """Threads that create the same names end with one file of each."""
    made: list[EntryId] = []

    def create(number: int) -> None:
        for at in range(10):
            try:
                made.append(service.create_file(db, space, ROOT, f"f{at}", size=number).id)
            except NameTaken:
                continue

    in_threads(8, create)
    assert len(made) == 10
    assert check_space(db, space).problems == []
