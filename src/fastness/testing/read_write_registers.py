"""Strict serializability of transactions that read and write several registers.

For services that cannot keep lists. Every write gives its key a value that is unique for the
key, so that a read names its writer; the order of versions is derived where it can be (the page
of `_register_orders` tells how), and what must come before what is then searched for cycles
exactly as in `list_append`.

Every anomaly reported is real. Not every real one is reported: writes that overlap, without
reading what they overwrite, and that no two readers tell apart, stay unordered. Deciding those
too is NP-complete (Papadimitriou, "The serializability of concurrent database updates", 1979);
a workload that reads a key before it writes it, or a list-append one, leaves none.

Time is n log n in the size of the history, times the transactions open at once on one key.
"""

from __future__ import annotations

from fastness.testing._explanations import LOST_UPDATE, Findings, report_cycles
from fastness.testing._graph import Graph, add_process_order, add_real_time
from fastness.testing._register_orders import Place, add_register_orders, describe
from fastness.testing._register_views import Registers, take_apart
from fastness.testing.history import History, Outcome
from fastness.testing.report import Report, shown_value


def check_read_write_registers(history: History) -> Report:
    """Judge a history of `Read` and `Write` operations, any number in a transaction.

    Every key is absent (`None`) at first. Anomalies: `internal`, `garbage-read`, `G1a`, `G1b`,
    `lost-update`, and the cycles `G0`, `G1c`, `G-single`, `G-nonadjacent`, `G2`, plain or with
    `-process` or `-realtime`. Raises `InvalidHistory` for other operations, for a value written
    twice to one key, and for a `None` written.
    """
    report = Report.on("read-write-registers", history)
    registers = take_apart(history)
    findings = Findings(report, history)
    _check_views(findings, registers)
    for key, of_key in registers.readers.items():
        for value, readers in of_key.items():
            _check_updates(findings, registers, Place(key, value), readers)
            if value is not None:
                _check_source(findings, registers, Place(key, value), readers)
    graph: Graph[Place] = Graph(len(history))
    witnesses = add_register_orders(graph, history, registers)
    add_process_order(graph, history, registers.committed)
    add_real_time(graph, history, registers.committed)
    report_cycles(
        report,
        history,
        graph,
        key_of=lambda place: place.key,
        describe=lambda step: describe(history, registers, witnesses, step),
    )
    return report


def _check_views(findings: Findings, registers: Registers) -> None:
    """No transaction contradicts itself."""
    for index, view in enumerate(registers.views):
        if not registers.committed[index]:
            continue
        for key, (expected, found) in view.broken.items():
            what = (
                f"T{index} read {key} -> {shown_value(found)}, where its own reads and writes "
                f"leave {shown_value(expected)}"
            )
            findings.add("internal", [index], key, what)
        for key, values in view.writes.items():
            if view.reads.get(key) in values:
                what = f"T{index} read {view.reads[key]} in {key} before it wrote it"
                findings.add("internal", [index], key, what)


def _check_updates(
    findings: Findings, registers: Registers, place: Place, readers: list[int]
) -> None:
    """Of the transactions that read one version of a key, at most one wrote it."""
    key, value = place
    updaters = [index for index in readers if key in registers.views[index].writes]
    if len(updaters) > 1:
        names = ", ".join(f"T{index}" for index in updaters)
        what = (
            f"{names} all read {key} -> {shown_value(value)} and then wrote it; whichever was "
            "second had not seen the first"
        )
        findings.add(LOST_UPDATE, updaters, key, what)


def _check_source(
    findings: Findings, registers: Registers, place: Place, readers: list[int]
) -> None:
    """What was read is what a committed transaction left."""
    key, value = place
    writer = registers.writers.get(key, {}).get(value)
    if writer is None:
        what = f"T{readers[0]} read {value} in {key}, which no transaction wrote"
        findings.add("garbage-read", [readers[0]], key, what)
        return
    reader = next((index for index in readers if index != writer), None)
    if reader is None:
        return
    left = registers.left(writer, key)
    if findings.history[writer].outcome is Outcome.FAILED:
        what = f"T{reader} read {value} in {key}, written by T{writer}, which failed"
        findings.add("G1a", [writer, reader], key, what)
    elif left != value:
        what = f"T{reader} read {value} in {key}, but T{writer} went on to write {left}"
        findings.add("G1b", [writer, reader], key, what)
