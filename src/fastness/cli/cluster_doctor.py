"""The command `cluster doctor`: what is wrong with a cluster, and what to do."""

from __future__ import annotations

import typer

from fastness.cli import exits
from fastness.cli.arguments import CoordinatorOption, JsonOption
from fastness.cli.cluster_access import CaOption, controlled
from fastness.cli.output import Output, answering
from fastness.operations.doctor import Finding, Gravity, diagnose, survey


def doctor(*, coordinator: CoordinatorOption, ca: CaOption = "", json: JsonOption = False) -> None:
    """Look closely at coordinator, stores and nodes: what is wrong, and what to do about it.

    It asks each member of etcd, each store and each node from this machine, which must reach them
    as the nodes do. Exits with 1 where it found an error or a warning.
    """
    with answering(json) as output:
        found = controlled(lambda control: survey(control, coordinator), coordinator, None, ca)
        findings = diagnose(found)
        if output.as_json:
            output.document(
                {"ok": not _grave(findings), "findings": [_document(f) for f in findings]}
            )
        else:
            _print(output, findings)
        if _grave(findings):
            raise typer.Exit(exits.FOUND_WRONG)


def _grave(findings: list[Finding]) -> bool:
    return any(finding.gravity is not Gravity.NOTE for finding in findings)


def _document(finding: Finding) -> dict[str, object]:
    return {
        "gravity": finding.gravity,
        "about": finding.about,
        "what": finding.what,
        "advice": finding.advice,
    }


def _print(output: Output, findings: list[Finding]) -> None:
    for finding in findings:
        output.text(f"{finding.gravity}: {finding.about}: {finding.what}")
        output.text(f"    {finding.advice}")
    if not findings:
        output.text("nothing is wrong that could be seen from here")
