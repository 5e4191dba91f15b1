"""What a run was, and what was found: as data, and as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

ANOMALIES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be: its class, and an explanation."""

    name: str
    explanation: str

    def __str__(self) -> str:
        return self.explanation


@dataclass(slots=True, kw_only=True)
class RunReport:
    """One run of a simulated cluster."""

    seed: int
    command: str = ""
    plan: str = ""
    """The faults that struck."""
    digest: str = ""
    """Of all that happened: equal for equal runs."""
    virtual_ms: float = 0.0
    cpu_seconds: float = 0.0
    commits: int = 0
    """Transactions that committed writes."""
    reads: int = 0
    """Transactions that ended well and wrote nothing."""
    aborts: int = 0
    unknown: int = 0
    """Outcomes that a client did not learn."""
    unresolved: int = 0
    """Of them, those that nobody could tell at the end either."""
    across_ranges: int = 0
    crashes: int = 0
    partitions: int = 0
    failovers: int = 0
    """Ranges that were taken over from a holder that had not released them."""
    splits: int = 0
    merges: int = 0
    transfers: int = 0
    moves: int = 0
    cache_hits: int = 0
    late_commits: int = 0
    """Commits that were still missing when faults stopped, and were made after."""
    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    """What nodes counted, over all their lives."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def as_document(self) -> dict[str, object]:
        """For a program."""
        document: dict[str, object] = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("findings", "faults", "counts")
        }
        document["faults"] = dict(sorted(self.faults.items()))
        document["counts"] = dict(sorted(self.counts.items()))
        document["findings"] = [
            {"name": one.name, "explanation": one.explanation} for one in self.findings
        ]
        return document

    def __str__(self) -> str:
        committed = (
            f"{self.commits} ({self.across_ranges} across ranges, {self.late_commits} after the "
            f"faults), {self.reads} read only, {self.aborts} aborted, {self.unknown} unknown to "
            "their clients"
        )
        happened = (
            f"{self.crashes} crashes, {self.partitions} partitions, {self.failovers} failovers, "
            f"{self.splits} splits, {self.merges} merges, {self.transfers} transfers, "
            f"{self.moves} moves, {self.cache_hits} cache hits"
        )
        seconds = f"{self.virtual_ms / 1_000:.1f} virtual, {self.cpu_seconds:.2f} of the processor"
        lines = [
            f"seed {self.seed}: {'nothing found' if self.ok else 'FAILED'}",
            f"  played     {self.plan}",
            f"  committed  {committed}",
            f"  happened   {happened}",
            f"  seconds    {seconds}",
            f"  digest     {self.digest}",
        ]
        for one in self.findings[:ANOMALIES_SHOWN]:
            lines += ["", str(one)]
        if len(self.findings) > ANOMALIES_SHOWN:
            lines += ["", f"and {len(self.findings) - ANOMALIES_SHOWN} more"]
        if not self.ok:
            lines += ["", f"  again      {self.command}"]
        return "\n".join(lines)
