"""What happened in a world: one digest of it all, and, if asked for, lines to read.

Two runs of one seed are the same exactly when their digests are: they cover the time and actor
of every event, and every frame and note, byte for byte. The digest costs a list append for each;
whether lines are kept or not does not change it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from hashlib import blake2b

DIGEST_BYTES = 16


class Trace:
    """The digest of a run, and its lines: `virtual ms  process  event`."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        """Lines are formed and handed to `write` if there is one."""
        self.write = write
        self.events: list[int] = []
        """Times and actors of events since the last flush."""
        self.contents: list[bytes] = []
        """Frames and notes since the last flush."""
        self._events = blake2b(digest_size=DIGEST_BYTES)
        self._contents = blake2b(digest_size=DIGEST_BYTES)

    def note(self, now_ns: int, name: str, event: str) -> None:
        """Something happened that is worth a line."""
        self.contents.append(event.encode())
        if self.write is not None:
            self.write(f"{now_ns / 1e6:12.4f}  {name:<14}  {event}")

    def line(self, now_ns: int, name: str, event: Callable[[], str]) -> None:
        """A line for the reader alone, not part of the digest, formed only if somebody reads."""
        if self.write is not None:
            self.write(f"{now_ns / 1e6:12.4f}  {name:<14}  {event()}")

    def flush(self) -> None:
        """Take what was gathered into the digest. When that is done makes no difference to it."""
        self._events.update(array("q", self.events).tobytes())
        self._contents.update(b"".join(self.contents))
        self.events.clear()
        self.contents.clear()

    def digest(self) -> str:
        """What happened so far, as 32 hexadecimal digits."""
        self.flush()
        both = self._events.digest() + self._contents.digest()
        return blake2b(both, digest_size=DIGEST_BYTES).hexdigest()
