"""What is shown of a URL that may hold a password."""

from __future__ import annotations

import pytest

from fastness.server.shown import shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://h:1,i:2/db?a=b", "postgresql://h:1,i:2/db?a=b"),
        ("postgresql://user@h/db", "postgresql://user@h/db"),
        ("postgresql://user:hush@h/db", "postgresql://user:...@h/db"),
        ("postgres://h/db?user=u&password=hush&x=1", "postgres://h/db?user=u&password=...&x=1"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    """Everything else is."""
    assert shown_url(url) == shown
