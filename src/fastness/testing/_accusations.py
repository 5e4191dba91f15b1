"""How checkers of ledgers report: one line of what is wrong, then the attempts involved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastness.testing._ledger_words import shown_attempt, shown_bytes
from fastness.testing.history import Outcome
from fastness.testing.ledger import Attempt
from fastness.testing.report import Anomaly, Report


def report_on(checker: str, attempts: Sequence[Attempt]) -> Report:
    """An empty report on some attempts."""
    acknowledged = sum(one.outcome is Outcome.OK for one in attempts)
    reads = sum(len(one.reads) + len(one.scans) + len(one.loose) for one in attempts)
    return Report(checker, len(attempts), acknowledged, reads)


class Accuser:
    """Adds anomalies to a report; `titles` say in words what each class is."""

    def __init__(self, report: Report, titles: Mapping[str, str]) -> None:
        self.report = report
        self.titles = titles

    def accuse(
        self, name: str, what: str, involved: Iterable[Attempt | None], *keys: bytes
    ) -> None:
        """Report; attempts are shown as far as they concern `keys`, each once."""
        if self.report.full(name):
            self.report.counts[name] += 1
            return
        kept = {one.index: one for one in involved if one is not None}
        lines = [what, *(f"    {shown_attempt(one, keys)}" for one in kept.values())]
        shown = tuple(shown_bytes(key) for key in keys)
        self.report.add(Anomaly(name, self.titles[name], tuple(kept), shown, "\n".join(lines)))
