"""Keys and values, which are bytes, in JSON, which has none.

============================ ====================== ==============================================
in JSON                      where                  bytes
============================ ====================== ==============================================
`"text"`                     keys and values        its UTF-8
`{"base64": "AAE="}`         keys and values        as RFC 4648, section 4, says
`{"tuple": ["user", 7]}`     keys                   packed by the tuple layer (docs/KEYS.md)
`{"counter": 7}`             values                 a counter: 8 bytes, little-endian, signed
============================ ====================== ==============================================

Answers show UTF-8 as text and all else in base64, unless a request asks for one form of all.

An element of a tuple is itself in JSON: text, a whole number, `true`, `null`, a list (a nested
tuple), a number with a fraction (a double), or, for what JSON cannot tell, `{"base64": ..}`,
`{"double": 1}`, `{"float": 1}` (single precision), `{"uuid": ..}`, `{"versionstamp": ..}` (12 bytes
in base64).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from math import isfinite
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from fastness.encoding import counters
from fastness.encoding.elements import SingleFloat, TupleElement, Versionstamp
from fastness.encoding.tuples import pack, unpack
from fastness.errors import InvalidEncoding, InvalidKey, InvalidValue

Base64 = Annotated[str, Meta(description="bytes in base64", examples=["AAEC"])]


class EncodedKey(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key that is no text: exactly one of these."""

    base64: Base64 | UnsetType = UNSET
    tuple: Annotated[list[Any], Meta(description="elements, to be packed in order")] | UnsetType = (
        UNSET
    )


class EncodedValue(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value that is no text: exactly one of these."""

    base64: Base64 | UnsetType = UNSET
    counter: Annotated[int, Meta(description="what `add` adds to")] | UnsetType = UNSET


Key: TypeAlias = Annotated[
    str | EncodedKey,
    Meta(
        description="a key: text stands for its UTF-8",
        examples=["user/ann", {"base64": "AP8="}, {"tuple": ["user", 7]}],
    ),
]
Value: TypeAlias = Annotated[
    str | EncodedValue,
    Meta(
        description="a value: text stands for its UTF-8",
        examples=["hello", {"base64": "AP8="}, {"counter": 7}],
    ),
]
KeyForm: TypeAlias = Annotated[
    Literal["auto", "base64", "tuple"],
    Meta(description="how the answer shows keys; `auto`: text where they are UTF-8, else base64"),
]
ValueForm: TypeAlias = Annotated[
    Literal["auto", "base64", "counter"],
    Meta(description="how the answer shows values; `auto`: text where they are UTF-8, else base64"),
]


def key_bytes(given: str | EncodedKey) -> bytes:
    """The bytes of a key."""
    if isinstance(given, str):
        return text_bytes(given)
    if (given.base64 is UNSET) == (given.tuple is UNSET):
        raise InvalidKey('a key is text or exactly one of {"base64": ..} and {"tuple": [..]}')
    if given.tuple is not UNSET:
        return pack(tuple(_element(one) for one in given.tuple))
    return base64_bytes(given.base64)


def value_bytes(given: str | EncodedValue) -> bytes:
    """The bytes of a value."""
    if isinstance(given, str):
        return text_bytes(given)
    if (given.base64 is UNSET) == (given.counter is UNSET):
        raise InvalidValue('a value is text or exactly one of {"base64": ..} and {"counter": ..}')
    if given.counter is not UNSET:
        return counters.encode(given.counter)
    return base64_bytes(given.base64)


def prefix_interval(
    given: str | EncodedKey, end_of: Callable[[bytes], bytes]
) -> tuple[bytes, bytes]:
    """Where the keys lie that begin with this: for a tuple, itself and those that extend it."""
    begin = key_bytes(given)
    if isinstance(given, EncodedKey) and given.tuple is not UNSET:
        return begin, begin + b"\xff"
    return begin, end_of(begin)


def text_bytes(text: str) -> bytes:
    """The UTF-8 of a text."""
    try:
        return text.encode()
    except UnicodeEncodeError as cause:
        raise InvalidEncoding(f"{text!r:.80} is no text that UTF-8 can hold: use base64") from cause


def base64_bytes(text: object) -> bytes:
    """The bytes that base64 stands for; strict, with padding."""
    try:
        return b64decode(str(text), validate=True)
    except (Base64Error, ValueError) as cause:
        raise InvalidEncoding(
            f"{text!r:.80} is no base64 ({cause}): RFC 4648, section 4, with its padding"
        ) from cause


def shown_key(key: bytes, form: KeyForm) -> str | EncodedKey:
    """A key as a request wants it; `InvalidEncoding` where it is none of that form."""
    if form == "tuple":
        return EncodedKey(tuple=[_shown_element(one) for one in unpack(key)])
    text = _text(key, form)
    return EncodedKey(base64=b64encode(key).decode()) if text is None else text


def shown_value(value: bytes, form: ValueForm) -> str | EncodedValue:
    """A value as a request wants it; `InvalidValue` where it is none of that form."""
    if form == "counter":
        return EncodedValue(counter=counters.decode(value))
    text = _text(value, form)
    return EncodedValue(base64=b64encode(value).decode()) if text is None else text


def _text(content: bytes, form: str) -> str | None:
    """It as text, `None` where it is none or is wanted otherwise."""
    if form != "auto":
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _versionstamp(text: object) -> Versionstamp:
    return Versionstamp.from_bytes(base64_bytes(text))


def _number(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise InvalidKey(f"{given!r:.80} is no number")
    try:
        return float(given)
    except OverflowError as cause:
        raise InvalidKey(f"{given!r:.80} is beyond a double: use a whole number") from cause


def _uuid(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError as cause:
        raise InvalidKey(f"{text!r:.80} is no UUID") from cause


_ELEMENTS: dict[str, Callable[[object], TupleElement]] = {
    "base64": base64_bytes,
    "double": _number,
    "float": lambda given: SingleFloat(_number(given)),
    "uuid": _uuid,
    "versionstamp": _versionstamp,
}


def _element(given: object) -> TupleElement:
    """An element of a tuple, from JSON. Its depth was bounded by the decoder."""
    if given is None or isinstance(given, (bool, int, float, str)):
        return given
    if isinstance(given, list):
        return tuple(_element(one) for one in given)
    if isinstance(given, dict) and len(given) == 1:
        name, content = next(iter(given.items()))
        if name in _ELEMENTS:
            return _ELEMENTS[name](content)
    known = ", ".join(_ELEMENTS)
    raise InvalidKey(f"{given!r:.80} is no element of a tuple: an object holds one of {known}")


def _shown_element(element: Any) -> Any:  # noqa: ANN401 - an element of a tuple, and JSON
    if element is None or isinstance(element, (bool, int, str)):
        return element
    if isinstance(element, tuple):
        return [_shown_element(one) for one in element]
    if isinstance(element, (float, SingleFloat)):
        number = float(element)
        if not isfinite(number):
            raise InvalidEncoding(f"a key holds {number}, which JSON cannot: ask for base64")
        return {"double" if isinstance(element, float) else "float": number}
    if isinstance(element, UUID):
        return {"uuid": str(element)}
    if isinstance(element, Versionstamp):
        return {"versionstamp": b64encode(element.to_bytes()).decode()}
    return {"base64": b64encode(element).decode()}
