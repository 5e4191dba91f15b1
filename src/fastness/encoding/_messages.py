"""How a value appears in the message of an error: always printable, never long."""

from __future__ import annotations

_CHARACTERS = 120


def shown(value: object) -> str:
    """The repr of a value, shortened."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python refuses to print integers of thousands of digits, and very deep tuples.
        text = f"a value of type {type(value).__name__} too large to print"
    return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "..."
