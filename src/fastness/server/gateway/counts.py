"""What a gateway counts, for whoever looks at its server."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastness.server.exposition import Histogram


@dataclass(slots=True)
class GatewayCounts:
    """Since the server started; `connections`, `clients` and `held_bytes` are of now."""

    answers: dict[int, int] = field(default_factory=dict)
    """Answers by status."""
    seconds: dict[str, Histogram] = field(default_factory=dict)
    """How long requests that were let in took, by operation."""
    connections: int = 0
    clients: int = 0
    """Tokens for which there is a client."""
    held_bytes: int = 0
    """Bodies, and answers that nobody has read."""

    def answered(self, status: int) -> None:
        """A request was answered with this status."""
        self.answers[status] = self.answers.get(status, 0) + 1

    def took(self, operation: str, nanoseconds: int) -> None:
        """A request took so long."""
        self.seconds.setdefault(operation, Histogram()).record(nanoseconds)
