"""The link shortener over HTTP.

The database is opened when a worker begins and closed when it ends. All workers of a machine
share the server that `FASTNESS_URL` names, and each keeps a near cache of its own.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, TypedDict

from fastapi import BackgroundTasks, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import AnyHttpUrl, BaseModel, Field

import fastness
from examples.fastapi_service import links
from examples.fastapi_service.schema import SCHEMA, Link
from examples.http_errors import document_of, headers_of, status_of
from fastness import AsyncDatabase
from fastness.errors import FastnessError, Unreachable

URL = "FASTNESS_URL"
"""The one line of configuration, as fastness+unix:///run/fastness/socket?cache=on."""


class State(TypedDict):
    """What every request finds in `request.state`."""

    db: AsyncDatabase


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
    """One database for all tasks of a worker."""
    async with await fastness.open_async(os.environ[URL], schema=SCHEMA) as db:
        yield State(db=db)


app = FastAPI(title="Links", lifespan=lifespan)


def database(request: Request) -> AsyncDatabase:
    """The worker's database."""
    db: AsyncDatabase = request.state.db
    return db


Db = Annotated[AsyncDatabase, Depends(database)]


@app.exception_handler(FastnessError)
async def refuse(_request: Request, error: FastnessError) -> Response:
    """Every error of the database, by the one table."""
    return JSONResponse(document_of(error), status_of(error), headers_of(error))


class NewLink(BaseModel):
    """What a caller asks for."""

    target: AnyHttpUrl
    owner: str
    slug: str | None = None


class NewTarget(BaseModel):
    """Where a link is to lead, if it still has this version."""

    target: AnyHttpUrl
    version: Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]


class Shown(BaseModel):
    """A link as callers see it. Versions are text: JavaScript rounds integers this long."""

    slug: str
    target: str
    owner: str
    created: datetime
    version: str

    @classmethod
    def of(cls, link: Link) -> Shown:
        """The link, to be shown."""
        return cls(
            slug=link.slug,
            target=link.target,
            owner=link.owner,
            created=link.created,
            version=str(link.version),
        )


class ShownWithVisits(Shown):
    """A link and how often it was followed."""

    visits: int


class Page(BaseModel):
    """Some of the links of an owner; give `continuation` back for the next."""

    links: list[Shown]
    continuation: str | None


@app.get("/healthz")
async def health() -> dict[str, str]:
    """Whether this worker runs: its loop answers."""
    return {"status": "ok"}


@app.get("/readyz")
async def readiness(db: Db) -> dict[str, str]:
    """Whether the database can be read just now; 503 where it cannot."""
    stat = await db.stat()
    if stat.server is not None and not stat.server.is_ready:
        raise Unreachable(f"{stat.url} is not ready yet: ask again")
    return {"status": "ready", "database": stat.url}


@app.post("/links", status_code=HTTPStatus.CREATED)
async def create(wanted: NewLink, db: Db) -> Shown:
    """A new link, under the slug asked for or one that is made up."""
    link = await links.create(db, target=str(wanted.target), owner=wanted.owner, slug=wanted.slug)
    return Shown.of(link)


@app.get("/links/{slug}")
async def show(slug: str, db: Db) -> ShownWithVisits:
    """A link and its visits."""
    found = await links.followed(db, slug)
    return ShownWithVisits(**Shown.of(found.link).model_dump(), visits=found.visits)


@app.put("/links/{slug}")
async def retarget(slug: str, wanted: NewTarget, db: Db) -> Shown:
    """Let it lead elsewhere; 412 where it is no longer the version that the caller saw."""
    version = int(wanted.version)
    return Shown.of(await links.retarget(db, slug, str(wanted.target), version=version))


@app.delete("/links/{slug}", status_code=HTTPStatus.NO_CONTENT)
async def remove(slug: str, db: Db) -> None:
    """Remove it."""
    await links.remove(db, slug)


@app.get("/owners/{owner}/links")
async def of_owner(owner: str, db: Db, continuation: str | None = None) -> Page:
    """Somebody's links, the newest first."""
    page = await links.of_owner(db, owner, continuation)
    return Page(links=[Shown.of(link) for link in page], continuation=page.continuation)


@app.get("/go/{slug}")
async def follow(slug: str, db: Db, background: BackgroundTasks) -> RedirectResponse:
    """Go where the link leads; the visit is counted once the answer is on its way."""
    target = await links.target_of(db, slug)
    background.add_task(links.count_visit, db, slug)
    return RedirectResponse(target)
