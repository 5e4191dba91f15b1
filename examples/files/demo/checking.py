"""Checks that a space is a sound tree, from everything stored about it at one snapshot.

Independent of the service: nothing here calls its operations or trusts an index where the
records themselves can be asked. Each check yields a line for everything wrong.

======================  ==============================================================
one parent each         every entry but the root is in one folder, which exists
no cycle                going up from every entry ends at the root
unique names            no two entries alive in a folder have the same name
listings                the listing of the space holds every entry alive once, and equal
counters                entries, bytes and shares equal what adding them up gives
journal                 replaying it from the beginning gives these entries and shares
======================  ==============================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from examples.files.schema import (
    ROOT,
    Action,
    Change,
    Entry,
    EntryId,
    Kind,
    Role,
    Share,
    SpaceId,
)
from fastness import Database, Transaction

PROBLEMS_MAX = 20

Tree = Mapping[EntryId, Entry]
Roles = Mapping[tuple[EntryId, str], Role]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and the first problems found."""

    entries: int
    changes: int
    shares: int
    problems: list[str]


def check_space(db: Database, space: SpaceId) -> Checked:
    """Every check on one space, at one snapshot."""
    with db.transaction(read_only=True) as tx:
        tree = {entry.id: entry for entry in tx.query_all(Entry.by_key, space)}
        roles = {(s.folder, s.user): s.role for s in tx.query_all(Share.by_key, space)}
        replayed = Replay()
        changes = 0
        for change in tx.query_all(Change.by_key, space):
            replayed.apply(change)
            changes += 1
        problems = chain(
            one_parent_each(tree),
            no_cycle(tree),
            unique_names(tree),
            listed_once(tree, tx.query_all(Entry.by_name, space)),
            counters(tx, space, tree, roles),
            replay_equals(replayed, tree, roles),
        )
        return Checked(len(tree), changes, len(roles), list(islice(problems, PROBLEMS_MAX)))


def one_parent_each(tree: Tree) -> Iterator[str]:
    """Entries whose folder is missing or is none, and roots besides the one."""
    if ROOT not in tree:
        yield "there is no root folder"
    for entry in tree.values():
        if entry.folder is None:
            if entry.id != ROOT:
                yield f"{entry.name!r} ({entry.id}) is in no folder, but is not the root"
            continue
        folder = tree.get(entry.folder)
        if folder is None:
            yield f"{entry.name!r} ({entry.id}) is in folder {entry.folder}, which does not exist"
        elif folder.kind is not Kind.FOLDER:
            yield f"{entry.name!r} ({entry.id}) is inside {folder.name!r}, a {folder.kind.value}"


def no_cycle(tree: Tree) -> Iterator[str]:
    """Entries from which going up never ends; each cycle is told once."""
    sound: set[EntryId | None] = {None}
    for entry in tree.values():
        passed: dict[EntryId, None] = {}
        above: Entry | None = entry
        while above is not None and above.id not in sound:
            if above.id in passed:
                yield f"{above.name!r} ({above.id}) lies inside itself"
                break
            passed[above.id] = None
            above = None if above.folder is None else tree.get(above.folder)
        sound.update(passed)


def unique_names(tree: Tree) -> Iterator[str]:
    """Names that two entries alive in one folder share."""
    names = Counter((e.folder, e.name) for e in tree.values() if e.deleted is None)
    for (folder, name), count in names.items():
        if count > 1:
            yield f"folder {folder} holds {count} entries named {name!r}"


def listed_once(tree: Tree, listing: Iterable[Entry]) -> Iterator[str]:
    """Differences between the listing of a space and its records."""
    unlisted = {entry.id for entry in tree.values() if entry.deleted is None}
    for listed in listing:
        if listed != tree.get(listed.id):
            yield f"the listing shows {listed!r}, the record is {tree.get(listed.id)!r}"
        elif listed.id not in unlisted:
            yield f"{listed.name!r} ({listed.id}) is listed twice, or though it was deleted"
        unlisted.discard(listed.id)
    for missing in unlisted:
        yield f"{tree[missing].name!r} ({missing}) is missing from the listing"


def counters(tx: Transaction, space: SpaceId, tree: Tree, roles: Roles) -> Iterator[str]:
    """Counters that differ from what they count."""
    kept = [
        ("entries", tx.total(Entry.entries, space), len(tree)),
        ("bytes", tx.total(Entry.bytes_used, space), sum(e.size for e in tree.values())),
    ]
    members = Counter(folder for folder, _user in roles)
    kept += [
        (f"members of {folder}", tx.total(Share.source_count, space, folder), count)
        for folder, count in members.items()
    ]
    for what, counter, counted in kept:
        if counter != counted:
            yield f"the counter of {what} says {counter:,}, adding up gives {counted:,}"


class Replay:
    """What a reader of the journal knows who has followed it from the beginning."""

    def __init__(self) -> None:
        self.tree: dict[EntryId, Entry] = {}
        self.roles: dict[tuple[EntryId, str], Role] = {}
        self._apply: dict[Action, Callable[[Change], object]] = {
            Action.PURGED: self._purge,
            Action.SHARED: self._share,
            Action.UNSHARED: self._unshare,
        }

    def apply(self, change: Change) -> None:
        """Take one change over."""
        self._apply.get(change.action, self._take_over)(change)

    def _take_over(self, change: Change) -> None:
        self.tree[change.entry.id] = change.entry

    def _purge(self, change: Change) -> None:
        self.tree.pop(change.entry.id, None)
        for folder, user in [key for key in self.roles if key[0] == change.entry.id]:
            del self.roles[folder, user]

    def _share(self, change: Change) -> None:
        if change.role is not None:
            self.roles[change.entry.id, change.user] = change.role

    def _unshare(self, change: Change) -> None:
        self.roles.pop((change.entry.id, change.user), None)


def replay_equals(replayed: Replay, tree: Tree, roles: Roles) -> Iterator[str]:
    """Differences between the replayed journal and the records."""
    for entry in tree.keys() | replayed.tree.keys():
        told, stored = replayed.tree.get(entry), tree.get(entry)
        if told != stored:
            yield f"the journal leads to {told!r}, stored is {stored!r}"
    for share in roles.keys() | replayed.roles.keys():
        if replayed.roles.get(share) != roles.get(share):
            yield f"the journal leads to share {share!r} = {replayed.roles.get(share)!r}"
