"""What a server must be set to before commits are entrusted to it; a refusal names the setting."""

from __future__ import annotations

from typing import Any

from fastness.errors import InvalidOption

VERSION_MIN = 140_000

_SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name IN (
    'fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names',
    'server_encoding', 'zero_damaged_pages'
)
"""
_MUST_BE = {
    "fsync": ("on", "a power failure could lose or tear what was acknowledged"),
    "full_page_writes": ("on", "a power failure could tear pages that recovery cannot mend"),
    "zero_damaged_pages": ("off", "damaged pages would be taken for empty ones"),
}
SAFE_COMMITS = frozenset({"on", "remote_apply"})


async def check_server(
    connection: Any,  # noqa: ANN401 - asyncpg has no types
    version: int,
    *,
    allow_unreplicated: bool,
) -> None:
    """Raise `InvalidOption` for the first thing that makes a server unfit."""
    if version < VERSION_MIN:
        raise InvalidOption(
            f"PostgreSQL {version // 10_000} is older than {VERSION_MIN // 10_000}: upgrade it"
        )
    found = {row["name"]: row["setting"] for row in await connection.fetch(_SETTINGS)}
    for name, (wanted, why) in _MUST_BE.items():
        # What is not shown to this role cannot have been changed by it either.
        if found.get(name, wanted) != wanted:
            raise InvalidOption(
                f"PostgreSQL runs with {name}={found[name]}, so {why}: set {name} = {wanted} and "
                "reload its configuration"
            )
    if found["server_encoding"] != "UTF8":
        raise InvalidOption(
            f"the database has server_encoding={found['server_encoding']}: create it with "
            "ENCODING 'UTF8' TEMPLATE template0"
        )
    check_commits(found["synchronous_commit"])
    check_standbys(found["synchronous_standby_names"], allow_unreplicated=allow_unreplicated)


def check_commits(synchronous_commit: str) -> None:
    """Commits must wait until they are on disk, here and on a standby."""
    if synchronous_commit not in SAFE_COMMITS:
        raise InvalidOption(
            f"PostgreSQL runs with synchronous_commit={synchronous_commit}, so an acknowledged "
            "commit could be lost: set synchronous_commit = on, for this user and database too"
        )


def check_standbys(names: str, *, allow_unreplicated: bool) -> None:
    """There must be a synchronous standby, unless the operator does without by name."""
    if not names.strip() and not allow_unreplicated:
        raise InvalidOption(
            "PostgreSQL runs with an empty synchronous_standby_names, so an acknowledged commit "
            "would rest on one server: set it (under Patroni: synchronous_mode: quorum and "
            "synchronous_mode_strict), or register the store with allow_unreplicated"
        )
