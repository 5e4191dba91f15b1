"""How long a space stood still: somebody who writes to it all the time, and notes each answer.

Every write must raise the file's revision by one: a write that was answered twice, or lost, shows.
"""

from __future__ import annotations

import time
from itertools import pairwise
from threading import Event, Thread
from types import TracebackType
from typing import Self

from examples.files import service
from examples.files.schema import ROOT, SpaceId
from fastness import Database

PAUSE_S = 0.01
"""Between writes: it measures, and is no load."""


class Probe:
    """Writes one file of a space, in a thread of its own, as long as the context lasts."""

    def __init__(self, db: Database, space: SpaceId) -> None:
        self.space = space
        self._db = db
        self._file = service.create_file(db, space, ROOT, "probe").id
        self._answers: list[float] = [time.monotonic()]
        self._stop = Event()
        self._thread = Thread(target=self._run)
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(PAUSE_S):
                service.write(
                    self._db, self.space, self._file, size=len(self._answers), content=b""
                )
                self._answers.append(time.monotonic())
        except Exception as error:  # noqa: BLE001 - kept for the main thread, which raises it
            self.error = error

    def standstill_s(self, begin: float, end: float) -> float:
        """The longest time without an answer, of all that touch this time."""
        gaps = pairwise([*self._answers, time.monotonic()])
        return max(
            (right - left for left, right in gaps if right > begin and left < end), default=0
        )

    def problems(self) -> list[str]:
        """What is wrong with what was written."""
        written = len(self._answers) - 1
        found = service.get_entry(self._db, self.space, self._file).revision
        lost = [f"space {self.space}: {written} writes answered, the file has revision {found}"]
        return lost * (found != written + 1) + [repr(self.error)] * (self.error is not None)
