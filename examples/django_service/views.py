"""The service over HTTP: synchronous views, any number of threads of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from examples.django_service import teams
from examples.django_service.database import database
from examples.django_service.schema import Person, Role, Team
from fastness.errors import InvalidValue, RecordNotFound, Unreachable

T = TypeVar("T")


class NewTeam(msgspec.Struct, forbid_unknown_fields=True):
    """What a caller asks for."""

    id: str
    owner: str
    seats: int
    name: str = ""


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """As what somebody joins."""

    role: Role = Role.MEMBER


def _asked(request: HttpRequest, kind: type[T]) -> T:
    """The body of a request; `InvalidValue` names what is wrong with it."""
    try:
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise InvalidValue(f"the body of {request.method} {request.path}: {error}") from error


def _answer(document: object, status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    return HttpResponse(
        msgspec.json.encode(document), status=status, content_type="application/json"
    )


@require_GET
def health(_request: HttpRequest) -> HttpResponse:
    """Whether this worker runs."""
    return JsonResponse({"status": "ok"})


@require_GET
def readiness(_request: HttpRequest) -> HttpResponse:
    """Whether the database can be read just now; 503 where it cannot."""
    stat = database().stat()
    if stat.server is not None and not stat.server.is_ready:
        raise Unreachable(f"{stat.url} is not ready yet: ask again")
    return JsonResponse({"status": "ready", "database": stat.url})


@require_http_methods(["GET", "POST"])
def people(request: HttpRequest) -> HttpResponse:
    """POST registers somebody; GET finds somebody by `?email=`."""
    if request.method == "POST":
        person = teams.register(database(), _asked(request, Person))
        return _answer(person, HTTPStatus.CREATED)
    email = request.GET.get("email", "")
    found = teams.person_by_email(database(), email)
    if found is None:
        raise RecordNotFound(f"nobody has the address {email!r}")
    return _answer(found)


@require_POST
def create_team(request: HttpRequest) -> HttpResponse:
    """A new team with its first owner."""
    wanted = _asked(request, NewTeam)
    team = Team(id=wanted.id, name=wanted.name, seats=wanted.seats)
    return _answer(teams.found(database(), team, owner=wanted.owner), HTTPStatus.CREATED)


@require_GET
def team(request: HttpRequest, team_id: str) -> HttpResponse:
    """A team and a page of its members; `?continuation=` goes on."""
    found = teams.members(database(), team_id, request.GET.get("continuation"))
    return _answer(
        {
            "team": found.team,
            "count": found.size,
            "members": found.page.items,
            "continuation": found.page.continuation,
        }
    )


@require_http_methods(["PUT", "DELETE"])
def member(request: HttpRequest, team_id: str, person_id: str) -> HttpResponse:
    """PUT lets somebody in, or changes the role; DELETE takes somebody out."""
    if request.method == "DELETE":
        teams.leave(database(), team_id, person_id)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    place = _asked(request, Place)
    return _answer(teams.join(database(), team_id, person_id, role=place.role))
