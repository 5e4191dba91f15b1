"""Cutting a line into words: at spaces, but not inside quotes or brackets.

A quote opens only at the beginning of a word or inside brackets, so that `O'Brien` is a word. A
word keeps its quotes: what it means is the business of whoever reads it.
"""

from __future__ import annotations

from fastness.errors import InvalidEncoding

_CLOSING = {"(": ")", "[": "]", "{": "}"}


def words(line: str) -> list[str]:
    """The words of a line; `InvalidEncoding` where a quote or a bracket stays open."""
    found: list[str] = []
    at = 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        end = _end_of_word(line, at)
        found.append(line[at:end])
        at = end
    return found


def _end_of_word(line: str, begin: int) -> int:
    """Where the word that begins at `begin` ends."""
    open_brackets: list[str] = []
    at = begin
    while at < len(line):
        character = line[at]
        if character in "\"'" and (open_brackets or at == begin):
            at = _end_of_quote(line, at)
            continue
        if character in _CLOSING and (open_brackets or at == begin):
            open_brackets.append(_CLOSING[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
        elif character.isspace() and not open_brackets:
            return at
        at += 1
    if open_brackets:
        raise InvalidEncoding(f"{line[begin : begin + 60]!r} lacks its {open_brackets[-1]!r}")
    return at


def _end_of_quote(line: str, begin: int) -> int:
    """Behind the quote that closes the one at `begin`."""
    at = begin + 1
    while at < len(line):
        if line[at] == "\\":
            at += 1
        elif line[at] == line[begin]:
            return at + 1
        at += 1
    raise InvalidEncoding(f"{line[begin : begin + 60]!r} lacks its closing {line[begin]}")
