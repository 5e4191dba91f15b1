r"""File names of the machine as text, without loss.

A name on disk is bytes, nearly always UTF-8. What is not UTF-8 becomes `\xNN` per byte, and
a backslash becomes two, so that every name has exactly one text and every such text leads
back to its name.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")


def text_of(name: bytes) -> str:
    """The text that stands for a file name."""
    if b"\\" in name:
        name = name.replace(b"\\", b"\\\\")
    return name.decode("utf-8", errors="backslashreplace")


def name_of(text: str) -> bytes:
    """The file name that a text from `text_of` stands for."""
    name = text.encode()
    if b"\\" not in name:
        return name
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\", name)
