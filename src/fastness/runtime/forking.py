"""A forked child must not touch what it inherited: the parent's files, locks and threads.

Every host registers here. In a child each is disowned at once: reads and commits raise
`DatabaseClosed`, locks are fresh (another thread of the parent may have held them).
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Disownable(Protocol):
    """Something a forked child must not use."""

    def disown(self) -> None:
        """Refuse everything from now on, without touching what the parent owns."""
        ...


_owned: WeakSet[Disownable] = WeakSet()


def own(host: Disownable) -> None:
    """Disown `host` in every child forked from now on."""
    _owned.add(host)


def _disown_all() -> None:
    for host in list(_owned):
        host.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_all)
