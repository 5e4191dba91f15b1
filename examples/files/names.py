"""Names of entries and the paths made of them.

A name is text: not empty, not "." or "..", without "/" and NUL. A path is names joined by
"/", with or without one at its beginning; "" and "/" are the root.
"""

from __future__ import annotations

from examples.files.errors import InvalidName

NAME_BYTES_MAX = 1024
"""In UTF-8. Room for the 255 bytes of a file system's name, each escaped to four."""


def require_name(name: str) -> None:
    """Refuse a name that no entry can have; `InvalidName` says why."""
    if name in ("", ".", ".."):
        raise InvalidName(f"{name!r} cannot name an entry: it stands for a place in paths")
    if "/" in name or "\0" in name:
        raise InvalidName(f"{name!r} holds a slash or NUL, which no name can")
    if len(name) * 4 > NAME_BYTES_MAX or not name.isascii():
        _require_text(name)


def _require_text(name: str) -> None:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidName(
            f"{name!r} is not text: it holds bytes that were not UTF-8; escape them first, as "
            "examples.files.demo.names does"
        ) from None
    if size > NAME_BYTES_MAX:
        raise InvalidName(f"{name[:40]!r}... has {size} bytes; names have up to {NAME_BYTES_MAX}")


def split_path(path: str) -> list[str]:
    """The names along a path, from the root; `InvalidName` for one like "a//b" or "a/../b"."""
    inner = path.removeprefix("/").removesuffix("/")
    if not inner:
        return []
    names = inner.split("/")
    for name in names:
        require_name(name)
    return names
