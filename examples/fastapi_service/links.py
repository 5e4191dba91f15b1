"""The operations of the link shortener. Each takes a transaction, and is run in one."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import NamedTuple

from examples.fastapi_service.schema import Link, visits_key
from fastness import AsyncDatabase, AsyncTransaction, transactional
from fastness.model import Listing

SLUG_BYTES = 5
"""Of a slug that nobody chose: 40 random bits, checked to be free all the same."""

PAGE_LINKS = 50


class Followed(NamedTuple):
    """A link and how often it was followed."""

    link: Link
    visits: int


@transactional
async def create(tx: AsyncTransaction, *, target: str, owner: str, slug: str | None = None) -> Link:
    """A new link; `RecordExists` where the slug is taken, `InvalidValue` where it is none."""
    link = Link(
        slug=secrets.token_hex(SLUG_BYTES) if slug is None else slug,
        target=target,
        owner=owner,
        created=datetime.now(UTC),
    )
    return await tx.insert(link)


@transactional
async def retarget(tx: AsyncTransaction, slug: str, target: str, *, version: int) -> Link:
    """Let a link lead elsewhere; `VersionMismatch` where somebody else changed it meanwhile."""
    return await tx.patch(Link, slug, if_version=version, target=target)


@transactional
async def remove(tx: AsyncTransaction, slug: str) -> None:
    """Remove a link and its counter; `RecordNotFound` where there is none."""
    await tx.require(Link, slug)
    await tx.remove(Link, slug)
    tx.delete(visits_key(slug))


async def target_of(db: AsyncDatabase, slug: str) -> str:
    """Where a link leads: from the near cache, which is never stale. `RecordNotFound`."""
    async with db.transaction(read_only=True) as tx:
        return (await tx.require(Link, slug)).target


async def count_visit(db: AsyncDatabase, slug: str) -> None:
    """Count one visit."""
    await db.add(visits_key(slug), 1)


async def followed(db: AsyncDatabase, slug: str) -> Followed:
    """A link with its visits, both at one moment."""
    async with db.transaction(read_only=True) as tx:
        link = await tx.require(Link, slug)
        count = await tx.get(visits_key(slug))
    return Followed(link, int.from_bytes(count or b"", "little"))


async def of_owner(db: AsyncDatabase, owner: str, continuation: str | None) -> Listing[Link]:
    """A page of somebody's links, the newest first."""
    async with db.transaction(read_only=True) as tx:
        return await tx.query(Link.of_owner, owner, limit=PAGE_LINKS, continuation=continuation)
