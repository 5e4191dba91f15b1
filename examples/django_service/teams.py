"""The operations on teams. Each takes a database, and is then one transaction, or a transaction.

The two rules are held whatever runs at the same time, because whatever was read to decide is
validated at the commit: that a team has an owner, and that it has no more members than seats.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from examples.django_service.schema import Membership, Person, Role, Team
from fastness import Transaction, transactional
from fastness.model import Listing

PAGE_MEMBERS = 100


class TeamRefusal(Exception):
    """A rule of the service stands against it."""


class Members(NamedTuple):
    """A team with a page of its members, all at one moment."""

    team: Team
    size: int
    page: Listing[Membership]


@transactional
def register(tx: Transaction, person: Person) -> Person:
    """Somebody new; `RecordExists` for the id, `UniqueViolation` for the address."""
    return tx.insert(person)


@transactional
def person_by_email(tx: Transaction, email: str) -> Person | None:
    """Whose address it is."""
    return tx.fetch_by(Person.by_email, email)


@transactional
def found(tx: Transaction, team: Team, *, owner: str) -> Team:
    """A new team with its first owner; `RecordNotFound` for one who is not registered."""
    tx.require(Person, owner)
    stored = tx.insert(team)
    tx.insert(_membership(team.id, owner, Role.OWNER))
    return stored


@transactional
def join(tx: Transaction, team: str, person: str, *, role: Role = Role.MEMBER) -> Membership:
    """Let a person into a team, or give a member another role; `TeamRefusal`."""
    tx.require(Person, person)
    seats = tx.require(Team, team).seats
    present = tx.fetch(Membership, team, person)
    if present is None:
        if tx.count(Membership.by_source, team) >= seats:
            raise TeamRefusal(f"team {team!r} has all its {seats} seats taken: add some first")
        return tx.insert(_membership(team, person, role))
    if present.role is Role.OWNER and role is not Role.OWNER:
        _keep_an_owner(tx, team, person)
    return tx.patch(Membership, team, person, role=role)


@transactional
def leave(tx: Transaction, team: str, person: str) -> None:
    """Take a person out of a team; `TeamRefusal` for its last owner, `RecordNotFound`."""
    if tx.require(Membership, team, person).role is Role.OWNER:
        _keep_an_owner(tx, team, person)
    tx.remove(Membership, team, person)


@transactional
def members(tx: Transaction, team: str, continuation: str | None = None) -> Members:
    """A team and some of its members, by id."""
    found = tx.require(Team, team)
    count = tx.count(Membership.by_source, team)
    page = tx.query(Membership.by_source, team, limit=PAGE_MEMBERS, continuation=continuation)
    return Members(found, count, page)


def _membership(team: str, person: str, role: Role) -> Membership:
    return Membership(team=team, person=person, role=role, since=datetime.now(UTC))


def _keep_an_owner(tx: Transaction, team: str, leaving: str) -> None:
    owners = tx.query(Membership.owners, team, limit=2)
    if all(owner.person == leaving for owner in owners):
        raise TeamRefusal(f"{leaving!r} is the last owner of team {team!r}: name another first")
