"""Errors of the database and of the service as answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse

from examples.django_service.teams import TeamRefusal
from examples.http_errors import document_of, headers_of, status_of
from fastness.errors import FastnessError

_log = logging.getLogger("examples.django_service")


class FastnessErrors:
    """Answers whatever a view raised: database errors by the one table, rules with 409."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer for an error; `None` leaves it to Django."""
        if isinstance(error, TeamRefusal):
            document = {"error": "refused", "message": str(error)}
            return JsonResponse(document, status=HTTPStatus.CONFLICT)
        if not isinstance(error, FastnessError):
            return None
        status = status_of(error)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("%s %s failed: %s", request.method, request.path, error)
        return JsonResponse(document_of(error), status=status, headers=headers_of(error))
