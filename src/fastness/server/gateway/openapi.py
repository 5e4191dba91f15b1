"""The OpenAPI 3.1 description of the gateway, made of the routes and the types that decode them."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

import msgspec
from msgspec.structs import fields as struct_fields

from fastness.server.gateway.documents import Problem
from fastness.server.gateway.routes import PAGE, ROOT, ROUTES, Route

VERSION = "3.1.0"
_JSON = "application/json"
_REFERENCE = "#/components/schemas/{name}"

_DESCRIPTION = """Reads, scans, transactions and typed records of a Fastness server, for languages
without a client of their own. Transactions are strictly serializable and durable once answered.

Keys and values are bytes. Text stands for its UTF-8; anything else is an object such as
`{"base64": ".."}`. Timestamps are text, since they exceed the 53 bits that many decoders keep.

Every error is a `Problem` with a stable code. Where `retryable` is true the same request may be
sent again (after `Retry-After`, where it is given); where `maybe_committed` is true it may have
been done, and is safe to repeat only with the id it was sent with."""

_PROBLEMS = {
    "400": "The request is wrong and will never work; the message says what to change.",
    "401": "No token, or one that is unknown, expired or revoked.",
    "403": "The role or the key space of the token does not allow it.",
    "404": "There is no such key, record or path.",
    "409": "Something it read was overwritten, or a record is in the way.",
    "412": "A precondition does not hold.",
    "413": "A key, value, transaction or body beyond its limit.",
    "415": "The body is not announced as application/json.",
    "429": "The token has used up its rate.",
    "503": "The server is too busy, is going down, or its disk refuses writes.",
    "504": "Time ran out; `maybe_committed` tells whether it may have been done.",
}


@cache
def description() -> bytes:
    """The document, as JSON."""
    bodies = [one for route in ROUTES for one in (route.body, route.answer) if one is not None]
    asked = [_texts(route) for route in ROUTES]
    texts = [one.type for fields in asked for _place, one in fields]
    schemas, components = msgspec.json.schema_components(
        [*bodies, *texts, Problem], ref_template=_REFERENCE
    )
    types = iter(schemas)
    of_bodies = {id(route): {} for route in ROUTES}  # type: dict[int, dict[str, Any]]
    for route in ROUTES:
        for part in ("body", "answer"):
            if getattr(route, part) is not None:
                of_bodies[id(route)][part] = next(types)
    paths: dict[str, dict[str, Any]] = {}
    for route, fields in zip(ROUTES, asked, strict=True):
        parameters = [_path_parameter(name, text) for name, text in route.parameters.items()]
        for place, one in fields:
            parameters.append(_parameter(place, one, next(types)))
        operation = _operation(route, of_bodies[id(route)], parameters)
        paths.setdefault(ROOT + route.path, {})[route.method.lower()] = operation
    document = {
        "openapi": VERSION,
        "info": {
            "title": "Fastness",
            "version": metadata.version("fastness"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "tags": [{"name": one} for one in dict.fromkeys(route.subject.value for route in ROUTES)],
        "paths": {**paths, PAGE: {"get": _THE_PAGE}},
        "components": {
            "schemas": components,
            "responses": {code: _problem(text) for code, text in _PROBLEMS.items()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "a token of the server (`fastness token create`)",
                }
            },
        },
    }
    return msgspec.json.encode(document)


_THE_PAGE = {
    "operationId": "openapi",
    "summary": "This description; anybody may read it.",
    "security": [{}],
    "responses": {
        "200": {"description": "OpenAPI", "content": {_JSON: {"schema": {"type": "object"}}}}
    },
}


def _texts(route: Route) -> list[tuple[str, msgspec.structs.FieldInfo]]:
    """What may stand in the query and the headers of a route."""
    found = [("query", one) for one in struct_fields(route.query)] if route.query else []
    found += [("header", one) for one in struct_fields(route.headers)] if route.headers else []
    return found


def _path_parameter(name: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": text,
        "schema": {"type": "string"},
    }


def _parameter(
    place: str, field: msgspec.structs.FieldInfo, schema: dict[str, Any]
) -> dict[str, Any]:
    """A field of a query or of headers. That it may be absent is said by `required`."""
    if {"type": "null"} in schema.get("anyOf", []):
        given = next(one for one in schema["anyOf"] if one != {"type": "null"})
        beside = {name: one for name, one in schema.items() if name not in {"anyOf", "default"}}
        schema = {**given, **beside}
    return {"name": field.encode_name, "in": place, "required": False, "schema": schema}


def _operation(
    route: Route, types: dict[str, Any], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.subject.value],
        "summary": route.summary,
        "parameters": parameters,
    }
    if "body" in types:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": types["body"]}}}
    operation["responses"] = {
        str(route.status.value): {
            "description": route.status.phrase,
            "content": {_JSON: {"schema": types["answer"]}},
        },
        **{code: {"$ref": f"#/components/responses/{code}"} for code in _PROBLEMS},
    }
    return operation


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(name=Problem.__name__)}
    return {"description": text, "content": {_JSON: {"schema": schema}}}
