r"""How keys and values are written on the command line, and shown: every byte string has a text.

================================  =======================================================
`greeting`                        the UTF-8 bytes of the text itself
`"two\nlines"`                    a quoted text, with Python's escapes
`("users", 42)`                   a tuple, packed as `fastness.pack` does: text, numbers,
                                  `True`, `False`, `None`, `b"bytes"`, nested tuples,
                                  `UUID("...")`, `Versionstamp("24 hex digits")`, `Float32(1.5)`
`hex:00ff`, `base64:AP8=`         any bytes
`counter:42`                      the 8 bytes of a counter, as `add` and `count` keep them
================================  =======================================================

`shown` gives the most readable of these that `parsed` reads back to the very same bytes.
"""

from __future__ import annotations

import ast
import base64
import binascii
import math
import warnings
from collections.abc import Callable
from uuid import UUID

from fastness.encoding import counters
from fastness.encoding.elements import SingleFloat, TupleElement, Versionstamp
from fastness.encoding.tuples import pack, unpack
from fastness.errors import FastnessError, InvalidEncoding

_PREFIXES = ("(", '"', "hex:", "base64:", "counter:", "-")
_LINE_CHARACTERS = str.maketrans("", "", "\n\r\t")
_CONSTANTS = {"true": True, "false": False, "null": None, "nan": math.nan, "inf": math.inf}


def parsed(text: str) -> bytes:
    """The bytes a text stands for; `InvalidEncoding` shows what cannot be read and why."""
    if text.startswith("("):
        return pack(parsed_tuple(text))
    if text.startswith('"'):
        value = _evaluated(text)
        if isinstance(value, str):
            return _utf8(value)
        raise InvalidEncoding(f"{text[:80]} is no quoted text: write \"...\", or '(...)' for a key")
    prefix, _, rest = text.partition(":")
    decode = _DECODERS.get(prefix) if ":" in text else None
    if decode is None:
        # What the shell passes on is bytes; those that are no UTF-8 come as surrogates.
        return text.encode("utf-8", "surrogateescape")
    try:
        return decode(rest)
    except (ValueError, binascii.Error) as cause:
        raise InvalidEncoding(
            f"{text[:80]!r} is not {prefix} ({cause}); for a text that begins like this, quote it: "
            f"{quoted(text[:80])}"
        ) from cause


def parsed_tuple(text: str) -> tuple[TupleElement, ...]:
    """The elements of a tuple in the notation; one alone needs no comma."""
    value = _evaluated(text)
    return value if isinstance(value, tuple) else (value,)


def _counter(text: str) -> bytes:
    return counters.encode(int(text))


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_DECODERS: dict[str, Callable[[str], bytes]] = {
    "hex": bytes.fromhex,
    "base64": _base64,
    "counter": _counter,
}


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as cause:
        raise InvalidEncoding(f"{text!r:.80} cannot be UTF-8 ({cause.reason})") from cause


def _evaluated(text: str) -> TupleElement:
    """The value of a Python-like literal; nothing of it is ever run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _element(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, Warning) as cause:
        raise InvalidEncoding(
            f"{text[:80]} cannot be read ({cause}): write a tuple such as "
            '("users", 42), where texts are in quotes'
        ) from cause


def _element(node: ast.expr) -> TupleElement:
    """One element of a literal's syntax tree."""
    if isinstance(node, ast.Tuple):
        return tuple(_element(part) for part in node.elts)
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes | int | float | None):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _element(node.operand)
        if type(number) is int or type(number) is float:
            return -number
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        return _constructed(node.func.id, _element(node.args[0]))
    raise ValueError(f"{ast.unparse(node)} is nothing a key can hold")


def _constructed(name: str, argument: TupleElement) -> TupleElement:
    if name == "UUID" and isinstance(argument, str):
        return UUID(argument)
    if name == "Versionstamp" and isinstance(argument, str):
        return Versionstamp.from_bytes(bytes.fromhex(argument))
    if name == "Float32" and isinstance(argument, int | float):
        return SingleFloat(argument)
    raise ValueError(f"{name}({argument!r}) is nothing a key can hold")


def shown(data: bytes) -> str:
    """The most readable text of a key that `parsed` reads back to the same bytes."""
    text = shown_text(data)
    if text is not None:
        return text
    try:
        elements = unpack(data)
        text = shown_tuple(elements)
        # Unpacking is strict and the notation exact, but for what a NaN carries.
        if not _holds_nan(elements) or parsed(text) == data:
            return text
    except FastnessError:
        pass  # Bytes that are no tuple.
    return f"hex:{data.hex()}"


def _holds_nan(elements: tuple[TupleElement, ...]) -> bool:
    return any(
        _holds_nan(element)
        if isinstance(element, tuple)
        else isinstance(element, float | SingleFloat) and math.isnan(float(element))
        for element in elements
    )


def shown_value(data: bytes) -> str:
    """As `shown`, for values: never a tuple, which bytes that mean another thing may resemble."""
    text = shown_text(data)
    return text if text is not None else f"hex:{data.hex()}"


def shown_text(data: bytes) -> str | None:
    """Readable UTF-8 text as such, quoted where it must be; `None` for other bytes."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if not text.translate(_LINE_CHARACTERS).isprintable():
        return None
    plain = text.isprintable() and text == text.strip() and not text.startswith(_PREFIXES)
    return text if plain and text else quoted(text)


def shown_tuple(elements: tuple[TupleElement, ...]) -> str:
    """A tuple in the notation."""
    comma = "," if len(elements) == 1 else ""
    return f"({', '.join(map(_shown_element, elements))}{comma})"


def _shown_element(element: TupleElement) -> str:
    if isinstance(element, tuple):
        return shown_tuple(element)
    if isinstance(element, str):
        return quoted(element)
    if isinstance(element, UUID):
        return f'UUID("{element}")'
    if isinstance(element, Versionstamp):
        return f'Versionstamp("{element.to_bytes().hex()}")'
    if isinstance(element, SingleFloat):
        return f"Float32({float(element)!r})"
    return repr(element)


def quoted(text: str) -> str:
    """A text between double quotes, everything unprintable escaped as in Python."""
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(map(_escaped, inside))}"'


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
