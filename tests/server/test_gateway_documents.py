"""What the gateway makes of JSON, and JSON of what it finds: nothing lost, nothing overlooked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from fastness.encoding.elements import SingleFloat, Versionstamp
from fastness.encoding.intervals import prefix_end
from fastness.encoding.tuples import pack
from fastness.errors import (
    FastnessError,
    InvalidEncoding,
    InvalidKey,
    InvalidTimestamp,
    InvalidValue,
)
from fastness.server.gateway.documents import Scan
from fastness.server.gateway.encodings import (
    EncodedKey,
    EncodedValue,
    KeyForm,
    ValueForm,
    key_bytes,
    prefix_interval,
    shown_key,
    shown_value,
    value_bytes,
)
from fastness.server.gateway.openapi import description
from fastness.server.gateway.operations import Transaction
from fastness.server.gateway.routes import ROOT, ROUTES, found_at
from fastness.server.gateway.strict_json import converted, document_of, texts_converted
from fastness.server.gateway.timestamps import expiry_of, moment_of, timestamp_of

TUPLE = (
    None,
    b"\x00\xff",
    "text",
    7,
    1 << 70,
    -3,
    1.0,
    0.5,
    True,
    ("nested", (None,)),
    UUID(int=5),
    SingleFloat(1.5),
    Versionstamp(b"0123456789", 3),
)


@given(st.binary(max_size=40), st.sampled_from(["auto", "base64"]))
def test_bytes_come_back(content: bytes, form: Any) -> None:  # noqa: ANN401 - either form
    """Whatever a key or value holds, what is shown of it stands for the same bytes."""
    assert key_bytes(shown_key(content, form)) == content
    assert value_bytes(shown_value(content, form)) == content


def test_text_is_shown_as_text() -> None:
    """UTF-8 is text, all else base64, and one form of all on demand."""
    assert shown_key("é".encode(), "auto") == "é"
    assert shown_key(b"\xff", "auto") == EncodedKey(base64="/w==")
    assert shown_value(b"a", "base64") == EncodedValue(base64="YQ==")
    assert shown_value(b"", "auto") == ""
    assert shown_value(value_bytes(EncodedValue(counter=-5)), "counter") == EncodedValue(counter=-5)


def test_tuples_come_back() -> None:
    """Every type of element has a form in JSON that says which it is."""
    shown = shown_key(pack(TUPLE), "tuple")
    assert isinstance(shown, EncodedKey)
    through_json = json.loads(json.dumps(shown.tuple))
    assert key_bytes(EncodedKey(tuple=through_json)) == pack(TUPLE)
    assert through_json[3] == 7
    assert through_json[6] == {"double": 1.0}


@pytest.mark.parametrize(
    ("given_key", "error"),
    [
        (EncodedKey(), InvalidKey),
        (EncodedKey(base64="YQ==", tuple=[]), InvalidKey),
        (EncodedKey(base64="YQ"), InvalidEncoding),
        (EncodedKey(base64="Y Q=="), InvalidEncoding),
        (EncodedKey(base64="é"), InvalidEncoding),
        (EncodedKey(tuple=[{"date": 1}]), InvalidKey),
        (EncodedKey(tuple=[{"uuid": "x"}]), InvalidKey),
        (EncodedKey(tuple=[{"double": "x"}]), InvalidKey),
        (EncodedKey(tuple=[{"double": 10**400}]), InvalidKey),
        (EncodedKey(tuple=[{"float": 1e300}]), InvalidKey),
        (EncodedKey(tuple=[{"versionstamp": "AAAA"}]), InvalidKey),
        (EncodedKey(tuple=[{"base64": "YQ==", "uuid": "x"}]), InvalidKey),
        (EncodedKey(tuple=[1 << 3000]), FastnessError),
    ],
)
def test_keys_that_are_none(given_key: EncodedKey, error: type[FastnessError]) -> None:
    """An encoding that is wrong, or none, or two, is refused."""
    with pytest.raises(error):
        key_bytes(given_key)


def test_values_and_forms_that_do_not_fit() -> None:
    """What was asked for and cannot be shown is an error, not something else."""
    for wrong in (EncodedValue(), EncodedValue(base64="", counter=1)):
        with pytest.raises(InvalidValue):
            value_bytes(wrong)
    forms: list[tuple[KeyForm, bytes]] = [("tuple", b"\xfe"), ("tuple", pack((float("nan"),)))]
    for form, key in forms:
        with pytest.raises(InvalidEncoding):
            shown_key(key, form)
    counter: ValueForm = "counter"
    with pytest.raises(InvalidEncoding):
        shown_value(b"seven", counter)


def test_prefixes() -> None:
    """A text's prefix is of bytes, a tuple's is of elements."""
    assert prefix_interval("ab", prefix_end) == (b"ab", b"ac")
    begin, end = prefix_interval(EncodedKey(tuple=["ab"]), prefix_end)
    assert begin <= pack(("ab",)) < pack(("ab", 1)) < end
    assert not begin <= pack(("abc",)) < end
    assert not begin <= pack(("ab\0c",)) < end


def test_timestamps() -> None:
    """Digits are timestamps, times need a zone; all else is refused."""
    assert timestamp_of("467532890931200001") == moment_of("467532890931200001")
    assert moment_of("2026-05-01T12:00:00Z") == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert expiry_of("2026-05-01T12:00:00Z") >> 18 == 1777636800000
    for wrong in ("", "-1", "1.5", "٣", "99999999999999999999", "2026-05-01T12:00:00", "noon"):
        with pytest.raises(InvalidTimestamp):
            moment_of(wrong)
    with pytest.raises(InvalidTimestamp):
        timestamp_of("2026-05-01T12:00:00Z")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1,}',
        b'{"a": 1} x',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b"{'a': 1}",
        b'{"a": 01}',
        b'{"a": "\xff"}',
        b'"\xff\xfe"',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\\ud800"}',
        b'{"a": "\n"}',
        b'{"a": 1, "a": 2}',
        b'[{"b": {"a": 1, "a": 1}}]',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"1" * 5_000,
    ],
    ids=lambda body: f"{len(body)} {body[:20]!r}",
)
def test_what_is_no_json(body: bytes) -> None:
    """What readers could differ about is refused, and so is what would exhaust them."""
    with pytest.raises(InvalidEncoding):
        document_of(body)


@given(st.binary(max_size=60))
def test_no_body_brings_the_decoder_down(body: bytes) -> None:
    """Any bytes are JSON or refused."""
    try:
        document_of(body)
    except InvalidEncoding:
        return


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "the body"),
        ({"operation": []}, "operation"),
        ({"operations": [{"op": "set", "key": "a"}]}, r"\$\.operations\[0\]"),
        ({"operations": [{"op": "set", "key": 7, "value": ""}]}, r"\.key"),
        ({"operations": [{"key": "a"}]}, "op"),
        ({"operations": [{"op": "add", "key": "a", "amount": 1.5}]}, r"\.amount"),
        ({"operations": [{"op": "add", "key": "a", "amount": True}]}, r"\.amount"),
        ({"operations": [{"op": "set", "key": "a", "value": "", "ttl_ms": 0}]}, r"\.ttl_ms"),
        ({"preconditions": [{"require": "equal", "key": "a"}]}, "require"),
        ({"read": {"read_timestamp": 7}}, r"\.read_timestamp"),
        ({"id": ""}, r"\.id"),
        ({"id": "x" * 201}, r"\.id"),
    ],
)
def test_documents_that_do_not_fit(document: object, place: str) -> None:
    """The place that is wrong is named, and nothing that is unknown is overlooked."""
    with pytest.raises(InvalidValue, match=place):
        converted(document, Transaction, "the body")


def test_texts_are_converted() -> None:
    """Numbers and truths of a query are text."""
    found = texts_converted({"limit": "7", "reverse": "true"}, Scan, "the query")
    assert (found.limit, found.reverse) == (7, True)
    with pytest.raises(InvalidValue, match=r"the query: .*limit"):
        texts_converted({"limit": "many"}, Scan, "the query")


def test_paths() -> None:
    """Parameters are unescaped after the path is taken apart; what is not there is not found."""
    for path, name, parameters in (
        ("/keys/a%2Fb/c", "getKey", [b"a/b/c"]),
        ("/keys/%ff%00", "getKey", [b"\xff\x00"]),
        ("/keys/", "getKey", [b""]),
        ("/kinds/User", "describeKind", [b"User"]),
        ("/records/File/7/a%2Fb", "getRecord", [b"File", b"7", b"a/b"]),
        ("/records/File", "listRecords", [b"File"]),
        ("/kinds", "kinds", []),
    ):
        found = found_at(ROOT + path)
        assert found is not None
        assert (found.by_method["GET"].name, found.parameters) == (name, parameters)
    for path in ("/v1", "/v1/", "/v2/now", "/v1/now/x", "/v1/kinds/a/b", "/v1/keys", "/", ""):
        assert found_at(path) is None


def test_the_description_is_openapi() -> None:
    """It keeps to OpenAPI 3.1, and every reference in it leads somewhere."""
    document = json.loads(description())
    OpenAPIV31SpecValidator(document).validate()
    operations = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for route in ROUTES:
        operation = operations[route.method, ROOT + route.path]
        assert operation["operationId"] == route.name
        assert ("requestBody" in operation) == (route.body is not None)
        assert str(route.status.value) in operation["responses"]
    assert len(operations) == len(ROUTES) + 1


def test_a_broken_description_is_noticed() -> None:
    """The validator finds a type that is none."""
    document = json.loads(description())
    document["components"]["schemas"]["Scan"]["type"] = "interval"
    assert list(OpenAPIV31SpecValidator(document).iter_errors())
