"""The state of a coordinator, and what each request makes of it. Pure.

Entries under keys, each with the revision that wrote it last, and the sessions that live. A
shell decides when requests arrive, which sessions run out, and what is durable::

    admits(compare, puts, ...) may it be written? reads nothing but what is here
    write(puts, deletes)       write it, at the next revision
    end(session)               the session and every key bound to it go

Whoever changes anything is told the keys, for the watchers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastness.placement.bounds import require_writable
from fastness.placement.coordinator import Entry, Put


class CoordinatorState:
    """See the module's page."""

    __slots__ = ("_entries", "_session_ids", "_sessions", "revision")

    def __init__(self, entries: Mapping[str, bytes] | None = None) -> None:
        """Begin with these entries, bound to no session."""
        self.revision = 1
        self._entries = {
            key: (Entry(value, self.revision), 0) for key, value in (entries or {}).items()
        }
        self._session_ids = 0
        self._sessions: dict[int, None] = {}

    def snapshot(self) -> dict[str, bytes]:
        """Every key and value, in order."""
        return {key: entry.value for key, (entry, _session) in sorted(self._entries.items())}

    def open_session(self) -> int:
        """A new session; its number, never 0."""
        self._session_ids += 1
        self._sessions[self._session_ids] = None
        return self._session_ids

    def lives(self, session: int) -> bool:
        """Whether a session has not ended."""
        return session in self._sessions

    def end(self, session: int) -> list[str]:
        """End a session; the keys that went with it."""
        if session not in self._sessions:
            return []
        del self._sessions[session]
        bound = [key for key, (_entry, owner) in self._entries.items() if owner == session]
        if bound:
            self.revision += 1
        for key in bound:
            del self._entries[key]
        return bound

    def read(self, prefix: str) -> tuple[int, dict[str, Entry]]:
        """The revision, and the entries under a prefix in order of their keys."""
        found = sorted(key for key in self._entries if key.startswith(prefix))
        return self.revision, {key: self._entries[key][0] for key in found}

    def admits(
        self, compare: Mapping[str, int], puts: Sequence[Put], deletes: Sequence[str]
    ) -> bool:
        """Whether every key is at the revision named, and every session put under lives.

        `LimitExceeded` for a write larger than any coordinator has to take.
        """
        require_writable(compare, puts, deletes)
        for key, revision in compare.items():
            found = self._entries.get(key)
            if (found[0].revision if found else 0) != revision:
                return False
        return not any(put.session and put.session not in self._sessions for put in puts)

    def write(self, puts: Iterable[Put], deletes: Iterable[str]) -> int:
        """Write what was admitted just now; the revision it got."""
        self.revision += 1
        for put in puts:
            self._entries[put.key] = (Entry(put.value, self.revision), put.session)
        for key in deletes:
            self._entries.pop(key, None)
        return self.revision
