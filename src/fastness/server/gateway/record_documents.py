"""Records as documents, with their versions beside them: those exceed what a number may hold."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastness.model import Record
from fastness.model.plans import KindPlan


class Written(NamedTuple):
    """A record as it was written, and its version."""

    record: dict[str, Any]
    version: str | None


def version_of(plan: KindPlan[Any], record: Record) -> str | None:
    """The version of a record as text, `None` where its kind keeps none."""
    return None if plan.version is None else str(getattr(record, plan.version))
