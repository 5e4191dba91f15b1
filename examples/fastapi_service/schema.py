"""What the link shortener stores: links by their short name, and counters of visits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

import fastness
from fastness.model import Entity, Index, Record, Version, desc

Slug = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{2,39}\Z")]


class Link(Entity, key="slug"):
    """A short name and where it leads."""

    slug: Slug
    target: str
    owner: str
    created: datetime
    version: Version = 0
    of_owner = Index("owner", desc("created"), clustered=True)


SCHEMA: list[type[Record]] = [Link]

VISITS = fastness.Subspace(("visits",))
"""A counter for each slug, kept apart: an atomic addition conflicts with nobody, and the link
itself stays in every worker's near cache however often it is followed."""


def visits_key(slug: str) -> bytes:
    """Where the visits of a link are counted."""
    return VISITS.pack((slug,))
