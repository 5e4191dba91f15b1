"""Which threads outlive what started them."""

from __future__ import annotations

import threading
from collections.abc import Set as AbstractSet


def still_running(before: AbstractSet[threading.Thread], *, patience_seconds: float) -> list[str]:
    """The names of threads started since `before` that do not end within the patience given."""
    started = [thread for thread in threading.enumerate() if thread not in before]
    for thread in started:
        thread.join(patience_seconds)
    return [thread.name for thread in started if thread.is_alive()]
