"""URLs of stores and coordinators as they may be shown: without what lets anybody in."""

from __future__ import annotations

import re

_USER = re.compile(r"^([a-z+]+://)([^/?@:]*)(:[^/?@]*)?@")
_OPTION = re.compile(r"([?&](?:password|sslpassword|passfile)=)[^&#]*")


def shown_url(url: str) -> str:
    """A URL without passwords."""
    without = _USER.sub(lambda found: f"{found[1]}{found[2]}{':...' if found[3] else ''}@", url)
    return _OPTION.sub(r"\1...", without)
