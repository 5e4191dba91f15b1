"""What the service stores: people with unique addresses, teams with seats, who is in which."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated

import msgspec

from fastness.model import Association, Entity, Index, Record, Reference

Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,62}\Z")]
Email = Annotated[str, msgspec.Meta(pattern=r"\A[^@\s]+@[^@\s]+\Z", max_length=254)]
Seats = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class Role(Enum):
    """What a member may do."""

    MEMBER = "member"
    OWNER = "owner"


class Person(Entity, key="id"):
    """Somebody, known by one address that is nobody else's."""

    id: Name
    email: Email
    name: str = ""
    by_email = Index("email", unique=True)


class Team(Entity, key="id"):
    """A team. It always has an owner, and never more members than seats."""

    id: Name
    name: str = ""
    seats: Seats


class Membership(Association):
    """A person in a team; both ends are listed and counted."""

    team: Name
    person: Name
    role: Role = Role.MEMBER
    since: datetime
    source = Reference(Team, "team")
    target = Reference(Person, "person")
    owners = Index("team", where={"role": Role.OWNER})


SCHEMA: list[type[Record]] = [Person, Team, Membership]
