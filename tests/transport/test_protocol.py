"""The page of the protocol and its test vectors say what the code does, and all of it."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from fastness import errors
from fastness.errors import FastnessError
from fastness.limits import Limits
from fastness.placement.descriptors import Descriptor
from fastness.ranges.commit import Stamped
from fastness.ranges.requests import Content, Scan, Write
from fastness.server.roles import ALLOWED
from fastness.transport.framing import HEADER_BYTES, FrameSplitter
from fastness.wire.figures import StoreFigures, TokenUse
from fastness.wire.handshake import Control, decode_control, encode_control
from fastness.wire.messages import Body, Frame, decode_frame, encode_traced
from fastness.wire.reports import RangeReport, StoreReport
from tests.transport import vectors

PAGE = (Path(__file__).parents[2] / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")
TAGGED: list[type[msgspec.Struct]] = list(dict.fromkeys([*get_args(Body), *get_args(Control)]))
STRUCTURES = [
    *TAGGED,
    Scan,
    Content,
    Write,
    Stamped,
    Descriptor,
    TokenUse,
    StoreFigures,
    RangeReport,
    StoreReport,
]


def shown(hint: Any) -> str:  # noqa: ANN401 - a type
    """A type as the page writes it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join("nil" if one is type(None) else shown(one) for one in inner)
    if origin is list:
        return f"array of {shown(inner[0])}"
    if origin is tuple:
        return f"[{', '.join(shown(one) for one in inner)}]"
    if origin is dict:
        return f"map of {shown(inner[0])} to {shown(inner[1])}"
    return "bin" if hint is bytes else str(hint.__name__)


def rows(section: str) -> list[list[str]]:
    """The cells of the table in a section."""
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def section(heading: str) -> str:
    """The text under a heading, up to the next."""
    pattern = rf"^##+ {re.escape(heading)}$\n(.*?)(?=^##|\Z)"
    found = re.search(pattern, PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/PROTOCOL.md has no section {heading!r}"
    return found[1]


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda one: one.__name__)
def test_every_structure_is_on_the_page_field_by_field(structure: type[msgspec.Struct]) -> None:
    """With its tag, its fields in order, their types, and whether they may be left out."""
    tag = structure.__struct_config__.tag
    heading = structure.__name__ + ("" if tag is None else f" · tag {tag}")
    hints = get_type_hints(structure)
    found = rows(section(heading))
    assert [(row[0].strip("`"), row[1]) for row in found] == [
        (field.name, shown(hints[field.name])) for field in msgspec.structs.fields(structure)
    ]
    optional = [field.name for field in msgspec.structs.fields(structure) if not field.required]
    assert [row[0].strip("`") for row in found if "default" in row[2]] == optional


def kinds(root: type[FastnessError]) -> Iterator[type[FastnessError]]:
    """The errors of the taxonomy."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


def test_links_within_the_page_lead_somewhere() -> None:
    """By the names that headings get where such pages are shown."""
    headings = re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)
    names = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= names


def test_every_error_is_on_the_page_by_its_code() -> None:
    """And whether to run the transaction again."""
    said = {row[0].strip("`"): row[1] for row in rows(section("Errors"))}
    assert list(said) == [kind.code for kind in kinds(FastnessError)]
    for kind in kinds(FastnessError):
        assert (said[kind.code] != "no") == kind.retryable, kind


def test_what_each_role_may_send_is_on_the_page() -> None:
    """Each role what it adds to the one before."""
    said = rows(section("Key spaces and roles"))
    named = {row[0].strip("`"): set(re.findall(r"[A-Z]\w+", row[1])) for row in said}
    before: set[str] = set()
    for role, allowed in ALLOWED.items():
        names = {kind.__name__ for kind in allowed}
        assert named[role.value] == names - before
        before = names


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("handshake_ms", "`handshake_ms` (5 s)"),
        ("connection_write_bytes", "`connection_write_bytes` (64 MiB)"),
        ("call_ms", "`call_ms` (500 ms)"),
        ("outcome_ms", "`outcome_ms` (60 s"),
        ("prepare_ms", "`prepare_ms` (2,000)"),
        ("frame_bytes", "`frame_bytes` of the Welcome (32 MiB"),
    ],
)
def test_limits_are_as_the_page_says(name: str, written: str) -> None:
    """Those that a client must know."""
    assert written in PAGE
    number, unit = re.findall(r"\(([\d,]+)\s?(MiB|ms|s)?", written)[0]
    scale = {"MiB": 1024 * 1024, "s": 1_000, "ms": 1, "": 1}[unit]
    assert getattr(Limits(), name) == int(number.replace(",", "")) * scale


def test_the_vectors_are_those_the_code_makes() -> None:
    """Written anew by `python -m tests.transport.vectors`."""
    assert vectors.PATH.read_text(encoding="utf-8") == vectors.text()


def test_every_structure_occurs_in_the_vectors() -> None:
    """At least once."""
    occurring: set[type[msgspec.Struct]] = {type(one) for one in vectors.CONTROLS.values()}
    occurring |= {type(message[3]) for message in vectors.MESSAGES.values()}
    assert occurring == set(TAGGED)


VECTORS: list[dict[str, Any]] = json.loads(vectors.PATH.read_text(encoding="utf-8"))
GOOD = [one for one in VECTORS if "means" in one]
BAD = [one for one in VECTORS if "error" in one]


@pytest.mark.parametrize("vector", GOOD, ids=lambda one: str(one["name"]))
def test_a_vector_is_read_and_written_alike(vector: dict[str, Any]) -> None:
    """The frame it is decodes to what it means, and encodes to the same bytes."""
    frame = bytes.fromhex(vector["hex"])
    controls: list[bytes] = []
    splitter = FrameSplitter(1 << 20, controls.append)
    messages = splitter.feed(frame)
    if vector["transport"]:
        assert (messages, len(controls)) == ([], 1)
        assert encode_control(decode_control(controls[0])) == frame[HEADER_BYTES:]
    else:
        assert (len(messages), controls) == (1, [])
        decoded: Frame = decode_frame(messages[0])
        again = encode_traced(
            decoded.kind, decoded.number, decoded.issued, decoded.body, decoded.trace
        )
        assert again == frame[HEADER_BYTES:]
    assert vectors.plain(msgspec.msgpack.decode(frame[HEADER_BYTES:])) == vector["means"]


@pytest.mark.parametrize("vector", BAD, ids=lambda one: str(one["name"]))
def test_a_bad_vector_is_refused(vector: dict[str, Any]) -> None:
    """With the error it names."""
    splitter = FrameSplitter(32 << 20, decode_control)
    with pytest.raises(FastnessError) as caught:
        decode_frame(splitter.feed(bytes.fromhex(vector["hex"]))[0])
    assert caught.value.code == vector["error"]
