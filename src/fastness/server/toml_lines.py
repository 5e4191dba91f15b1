"""In which line of a TOML file each key stands, for errors that point there.

Python's own parser answers with values alone. This finds lines of files that the parser has
already taken: tables by their `[header]`, keys by the text before `=`. Lines inside a value that
spans several may look like keys; the first line that names a key is the one that counts, and a
key that is not found has line 0, so the worst is an error without its line.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\s*(?P<table>[A-Za-z0-9_.\-\s]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"\s*(?P<key>[A-Za-z0-9_\-]+(?:\s*\.\s*[A-Za-z0-9_\-]+)*)\s*=")
_SPACE = re.compile(r"\s+")


def lines_of(text: str) -> dict[str, int]:
    """The line, counted from 1, of each key by its whole name with dots; tables have one too."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _SPACE.sub("", header["table"])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _SPACE.sub("", key["key"])
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found
