"""JSON of strangers: read by the letter of RFC 8259, and nothing overlooked.

What one reader would read in one way and another in another is refused: names that occur twice in
an object, NaN, lone surrogates, bytes behind the end.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from fastness.errors import InvalidEncoding, InvalidValue


def document_of(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """What a body says; `InvalidEncoding` where it is no JSON, or has two meanings."""
    try:
        document = msgspec.json.decode(body)
        # The decoder keeps the last of two values of one name: this one looks at names alone.
        json.loads(body, object_pairs_hook=_once)
    except (msgspec.MsgspecError, UnicodeError, ValueError) as cause:
        raise InvalidEncoding(f"the body is no JSON: {cause}") from cause
    except RecursionError as cause:
        raise InvalidEncoding("the body is nested too deeply: flatten it") from cause
    return document


def _once(pairs: list[tuple[str, object]]) -> None:
    if len(pairs) > 1 and len({name for name, _ in pairs}) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidEncoding(f"the name {twice!r:.80} occurs twice in one object: leave one out")


def converted(document: object, kind: Any, what: str) -> Any:  # noqa: ANN401 - of that type
    """A document as a type; `InvalidValue` names the place that does not fit."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.MsgspecError as cause:
        raise InvalidValue(f"{what}: {cause}") from cause
    except RecursionError as cause:
        raise InvalidEncoding(f"{what} is nested too deeply: flatten it") from cause


def texts_converted(texts: dict[str, str], kind: Any, what: str) -> Any:  # noqa: ANN401 - as above
    """Texts by name (a query, headers) as a type; numbers and the like are written as text."""
    try:
        return msgspec.convert(texts, kind, strict=False)
    except msgspec.MsgspecError as cause:
        raise InvalidValue(f"{what}: {cause}") from cause
