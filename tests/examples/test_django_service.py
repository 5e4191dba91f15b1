"""The team service: its rules under many threads, forks, and as forked workers over one server."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.test import override_settings

import fastness
from examples.django_service import teams, views
from examples.django_service.database import close, database
from examples.django_service.schema import SCHEMA, Membership, Person, Role, Team
from examples.django_service.teams import TeamRefusal
from examples.django_service.wsgi import application
from fastness.errors import RecordNotFound
from fastness.testing.kit import Faults, ServerProcess, faulty
from tests.client.servers import RunningServer
from tests.examples.web import running

SEATS = 3
CROWD = 12


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """A server, and the one line of configuration that names it."""
    with RunningServer() as started:
        url = f"{started.url}?cache=on&operation_ms=500&call_ms=100"
        with override_settings(FASTNESS_URL=url):
            yield started
            close()


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    """A caller of the service in this process."""
    assert server.url
    transport = httpx.WSGITransport(app=application)
    with httpx.Client(transport=transport, base_url="http://localhost") as asking:
        yield asking


def register(*people: str) -> None:
    """People with an address each."""
    for person in people:
        teams.register(database(), Person(id=person, email=f"{person}@example.org"))


def members_of(team: str) -> dict[str, Role]:
    """Who is in a team, as what."""
    return {one.person: one.role for one in teams.members(database(), team).page}


def test_people_teams_and_members(client: httpx.Client) -> None:
    """Registered, found by address, let in, promoted, listed, taken out."""
    for person in ("ann", "bob"):
        body = {"id": person, "email": f"{person}@example.org"}
        assert client.post("/people", json=body).json() == {**body, "name": ""}
    assert client.get("/people", params={"email": "bob@example.org"}).json()["id"] == "bob"
    made = client.post("/teams", json={"id": "core", "owner": "ann", "seats": SEATS})
    assert (made.status_code, made.json()) == (201, {"id": "core", "name": "", "seats": SEATS})
    assert client.put("/teams/core/members/bob").json()["role"] == "member"
    assert client.put("/teams/core/members/bob", json={"role": "owner"}).json()["role"] == "owner"
    shown = client.get("/teams/core").json()
    assert (shown["count"], shown["continuation"]) == (2, None)
    assert [(one["person"], one["role"]) for one in shown["members"]] == [
        ("ann", "owner"),
        ("bob", "owner"),
    ]
    assert client.delete("/teams/core/members/ann").status_code == 204
    assert client.delete("/teams/core/members/ann").status_code == 404


REFUSED: dict[str, tuple[str, str, object, int, str]] = {
    "address taken": (
        "POST", "/people", {"id": "eve", "email": "ann@example.org"}, 409, "unique_violation",
    ),
    "id taken": ("POST", "/people", {"id": "ann", "email": "e@example.org"}, 409, "record_exists"),
    "no address": ("POST", "/people", {"id": "eve", "email": "nowhere"}, 400, "invalid_value"),
    "field missing": ("POST", "/people", {"id": "eve"}, 400, "invalid_value"),
    "no object": ("POST", "/people", [], 400, "invalid_value"),
    "nobody there": ("GET", "/people?email=e@example.org", None, 404, "record_not_found"),
    "no owner": ("POST", "/teams", {"id": "x", "owner": "e", "seats": 1}, 404, "record_not_found"),
    "no seats": ("POST", "/teams", {"id": "x", "owner": "ann", "seats": 0}, 400, "invalid_value"),
    "no role": ("PUT", "/teams/core/members/ann", {"role": "king"}, 400, "invalid_value"),
    "last owner steps down": ("PUT", "/teams/core/members/ann", {"role": "member"}, 409, "refused"),
    "last owner leaves": ("DELETE", "/teams/core/members/ann", None, 409, "refused"),
    "no team": ("PUT", "/teams/none/members/ann", {}, 404, "record_not_found"),
    "no page": ("GET", "/teams/core?continuation=x", None, 400, "invalid_continuation"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(client: httpx.Client, case: str) -> None:
    """With the status and the code of what is wrong."""
    method, path, body, status, code = REFUSED[case]
    register("ann")
    teams.found(database(), Team(id="core", seats=1), owner="ann")
    answered = client.request(method, path, json=body)
    assert (answered.status_code, answered.json()["error"]) == (status, code)


@pytest.mark.usefixtures("server")
def test_seats_are_held_by_any_number_of_threads() -> None:
    """Of a crowd as many get in as there are seats, and each of the others hears why not."""
    crowd = [f"person-{number}" for number in range(CROWD)]
    register("ann", *crowd)
    teams.found(database(), Team(id="core", seats=SEATS), owner="ann")

    def join(person: str) -> bool:
        try:
            teams.join(database(), "core", person)
        except TeamRefusal:
            return False
        return True

    with ThreadPoolExecutor(CROWD) as threads:
        assert Counter(threads.map(join, crowd)) == {True: SEATS - 1, False: CROWD - SEATS + 1}
    assert len(members_of("core")) == SEATS


@pytest.mark.usefixtures("server")
def test_a_team_keeps_an_owner() -> None:
    """Though its two owners leave at the same moment, each having seen the other."""
    register("ann", "bob")
    for number in range(10):
        team = f"team-{number}"
        teams.found(database(), Team(id=team, seats=2), owner="ann")
        teams.join(database(), team, "bob", role=Role.OWNER)

        def leave(person: str, team: str = team) -> bool:
            try:
                teams.leave(database(), team, person)
            except TeamRefusal:
                return False
            return True

        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(leave, ("ann", "bob"))) == [False, True]
        assert list(members_of(team).values()) == [Role.OWNER]


def test_a_database_that_is_busy_or_away(
    client: httpx.Client, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 and when to come back, while the worker itself is well."""
    faults = Faults()
    with fastness.open(f"{server.url}?retry_ms=1", schema=SCHEMA) as own:
        monkeypatch.setattr(views, "database", lambda: faulty(own, faults))
        faults.overloaded(retry_after_ms=2_500, times=2)
        busy = client.post("/people", json={"id": "ann", "email": "ann@example.org"})
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "3")
        monkeypatch.undo()
    assert client.get("/readyz").json()["status"] == "ready"
    server.do(server.process.close())
    away = client.get("/readyz")
    assert (away.status_code, away.json()["error"]) == (503, "unreachable")
    assert away.headers["retry-after"] == "1"
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
# Since 3.12 Python warns of forks beside threads: that is the subject.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("server")
def test_a_forked_child_opens_a_database_of_its_own() -> None:
    """Though the parent had one open, cache and all; the parent goes on with its own."""
    register("ann")
    before = database()
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            register("bob")
            found = teams.person_by_email(database(), "ann@example.org")
            ended = 0 if found is not None and database() is not before else 2
            close()
        finally:
            os._exit(ended)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert database() is before
    assert teams.person_by_email(database(), "bob@example.org") is not None


@pytest.mark.process
@pytest.mark.timeout(300)
def test_forked_workers_share_one_server() -> None:
    """Gunicorn's workers, forked after the service was loaded, with threads: seats are held."""

    def gunicorn(socket: object) -> list[str]:
        service = ["gunicorn", "examples.django_service.wsgi", "--bind", f"unix:{socket}"]
        return [*service, "--workers", "2", "--threads", "4", "--preload", "--no-control-socket"]

    crowd = [f"person-{number}" for number in range(CROWD)]
    shared = ServerProcess().start()
    try:
        with running(gunicorn, FASTNESS_URL=f"{shared.url}?cache=on") as client:
            with client() as asking:
                for person in ("ann", *crowd):
                    body = {"id": person, "email": f"{person}@example.org"}
                    assert asking.post("/people", json=body).status_code == 201
                made = asking.post("/teams", json={"id": "core", "owner": "ann", "seats": SEATS})
                assert made.status_code == 201

            def join(person: str) -> int:
                with client() as asking:
                    return asking.put(f"/teams/core/members/{person}").status_code

            with ThreadPoolExecutor(CROWD) as threads:
                statuses = Counter(threads.map(join, crowd))
        assert statuses == {200: SEATS - 1, 409: CROWD - SEATS + 1}
        with fastness.open(shared.url, schema=SCHEMA) as db, db.transaction() as tx:
            assert tx.count(Membership.by_source, "core") == SEATS
            with pytest.raises(RecordNotFound):
                tx.require(Person, "eve")
    finally:
        shared.stop()
