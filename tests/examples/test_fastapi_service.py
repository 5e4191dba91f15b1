"""The link shortener: over HTTP in this process, and as several workers that share a server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest

import fastness
from examples.fastapi_service.app import URL, app, database, lifespan
from examples.fastapi_service.links import PAGE_LINKS
from examples.fastapi_service.schema import SCHEMA
from fastness import AsyncDatabase
from fastness.testing.kit import Faults, ServerProcess, faulty
from tests.client.servers import RunningServer
from tests.examples.web import running

TARGET = "https://example.org/a"
MADE = 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    """A server, and the one line of configuration that names it."""
    with RunningServer() as started:
        monkeypatch.setenv(URL, f"{started.url}?cache=on&operation_ms=500&call_ms=100")
        yield started


class Worker(httpx.AsyncClient):
    """A client of one worker of the service, which has a database of its own."""

    db: AsyncDatabase

    async def link(self, slug: str, target: str = TARGET) -> dict[str, Any]:
        """A new link of ann's."""
        answered = await self.post("/links", json={"target": target, "owner": "ann", "slug": slug})
        assert answered.status_code == 201, answered.text
        made: dict[str, Any] = answered.json()
        return made


@asynccontextmanager
async def worker() -> AsyncIterator[Worker]:
    """One worker, from its start to its end."""
    async with lifespan(app) as state:

        async def started(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(app=started)
        async with Worker(transport=transport, base_url="http://links") as client:
            client.db = state["db"]
            yield client


def play(scenario: Callable[[Worker], Awaitable[None]]) -> None:
    """Run a scenario with one worker."""

    async def run() -> None:
        async with asyncio.timeout(60), worker() as client:
            await scenario(client)

    asyncio.run(run())


@pytest.mark.usefixtures("server")
def test_links_lead_where_they_say() -> None:
    """Made, followed, counted, changed by whoever saw the newest version, removed."""

    async def scenario(client: Worker) -> None:
        made = await client.link("plan")
        for _ in range(3):
            followed = await client.get("/go/plan")
            assert (followed.status_code, followed.headers["location"]) == (307, TARGET)
        shown = (await client.get("/links/plan")).json()
        assert shown == {**made, "visits": 3}
        change = {"target": "https://example.org/b", "version": made["version"]}
        changed = await client.put("/links/plan", json=change)
        assert changed.json()["target"] == change["target"]
        again = await client.put("/links/plan", json=change)
        assert (again.status_code, again.json()["error"]) == (412, "version_mismatch")
        assert (await client.delete("/links/plan")).status_code == 204
        for answered in (await client.get("/go/plan"), await client.delete("/links/plan")):
            assert (answered.status_code, answered.json()["error"]) == (404, "record_not_found")

    play(scenario)


@pytest.mark.usefixtures("server")
def test_bad_requests_are_told_what_is_wrong() -> None:
    """A slug that is taken or none, a target that is none, a version or a page of nobody's."""

    async def scenario(client: Worker) -> None:
        await client.link("plan")
        new = {"target": TARGET, "owner": "bob"}
        for body, status in (
            ({**new, "slug": "plan"}, 409),
            ({**new, "slug": "No!"}, 400),
            ({**new, "target": "nowhere"}, 422),
            ({}, 422),
        ):
            assert (await client.post("/links", json=body)).status_code == status
        change = {"target": TARGET, "version": "newest"}
        assert (await client.put("/links/plan", json=change)).status_code == 422
        lost = await client.get("/owners/ann/links", params={"continuation": "x"})
        assert (lost.status_code, lost.json()["error"]) == (400, "invalid_continuation")
        made = await client.post("/links", json=new)
        assert len(made.json()["slug"]) == 10

    play(scenario)


@pytest.mark.usefixtures("server")
def test_pages_of_an_owner() -> None:
    """Newest first, each link once."""

    async def scenario(client: Worker) -> None:
        slugs = [f"link-{number:03}" for number in range(PAGE_LINKS + 7)]
        for slug in slugs:
            await client.link(slug)
        first = (await client.get("/owners/ann/links")).json()
        rest = (
            await client.get("/owners/ann/links", params={"continuation": first["continuation"]})
        ).json()
        listed = [link["slug"] for page in (first, rest) for link in page["links"]]
        assert listed == slugs[::-1]
        assert rest["continuation"] is None

    play(scenario)


@pytest.mark.usefixtures("server")
def test_a_worker_answers_from_memory_and_is_never_stale() -> None:
    """What one worker changes, another shows at once, though it had it in its near cache."""

    async def scenario(client: Worker) -> None:
        async with worker() as other:
            made = await client.link("plan")
            for _ in range(5):
                assert (await other.get("/go/plan")).headers["location"] == TARGET
            assert (await other.db.stat()).cache.hits >= 4
            for number in range(20):
                target = f"https://example.org/{number}"
                change = {"target": target, "version": made["version"]}
                made = (await client.put("/links/plan", json=change)).json()
                assert (await other.get("/go/plan")).headers["location"] == target

    play(scenario)


def test_a_database_that_is_busy_or_away(server: RunningServer) -> None:
    """503 and when to come back, while the worker itself is well; then everything goes on."""

    async def scenario(client: Worker) -> None:
        await client.link("plan")
        faults = Faults()
        async with await fastness.open_async(f"{server.url}?retry_ms=1", schema=SCHEMA) as db:
            app.dependency_overrides[database] = lambda: faulty(db, faults)
            try:
                faults.overloaded(retry_after_ms=2_500, times=2)
                busy = await client.post("/links", json={"target": TARGET, "owner": "ann"})
                assert (busy.status_code, busy.headers["retry-after"]) == (503, "3")
                faults.clear()
                faults.maybe_committed(committed=True)
                unknown = await client.delete("/links/plan")
                assert (unknown.status_code, "retry-after" in unknown.headers) == (504, False)
            finally:
                app.dependency_overrides.clear()
        server.do(server.process.close())
        away = await client.get("/readyz")
        assert (away.status_code, away.json()["error"]) == (503, "unreachable")
        assert away.headers["retry-after"] == "1"
        assert (await client.get("/healthz")).json() == {"status": "ok"}

    play(scenario)


@pytest.mark.process
@pytest.mark.timeout(300)
def test_several_workers_share_one_server() -> None:
    """Uvicorn's workers, each with its own cache: every link made once, every visit counted."""

    def uvicorn(socket: object) -> list[str]:
        service = "examples.fastapi_service.app:app"
        return ["uvicorn", service, "--workers", "2", "--uds", str(socket)]

    shared = ServerProcess().start()
    try:
        with (
            running(uvicorn, **{URL: f"{shared.url}?cache=on"}) as client,
            client() as first,
            ThreadPoolExecutor(4) as threads,
        ):
            statuses = Counter(threads.map(partial(_make, client), [*range(MADE)] * 2))
            assert statuses == {201: MADE, 409: MADE}
            assert set(threads.map(partial(_follow, client), range(MADE))) == {307}
            shown = [first.get(f"/links/link-{number}").json() for number in range(MADE)]
        with fastness.open(shared.url, schema=SCHEMA) as db:
            visits = [int.from_bytes(value, "little") for _key, value in db.scan_all(b"", b"\xff")]
        assert {link["target"] for link in shown} == {TARGET}
        assert visits == [1] * MADE
    finally:
        shared.stop()


def _make(client: Callable[[], httpx.Client], number: int) -> int:
    body = {"target": TARGET, "owner": "ann", "slug": f"link-{number}"}
    with client() as asking:
        return asking.post("/links", json=body).status_code


def _follow(client: Callable[[], httpx.Client], number: int) -> int:
    with client() as asking:
        return asking.get(f"/go/link-{number}").status_code
