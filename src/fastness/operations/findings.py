"""What a check found: typed records, for programs and people alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["backup", "store", "records", "import"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    part: Part
    """What it concerns: files of a backup, the store's tables, typed records, an import."""
    place: str
    """Where: a file, a table, an index."""
    what: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check. No findings: everything that was read is right."""

    identity: str
    findings: tuple[Finding, ...]
    rows: int
    """Stored rows read: newest versions, history, log, state."""
    records: int
    """Typed records whose index entries and totals were compared."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.findings
