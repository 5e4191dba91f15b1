"""Strict serializability of transactions that read lists and append to them.

The approach of Elle (Kingsbury & Alvaro, "Elle: Inferring Isolation Anomalies from
Experimental Observations", VLDB 2020). Every append adds a value that is unique for its key, so
a list read shows which transactions came before its reader, and in which order::

    ww   T1 appended the value before T2's        T1 before T2
    wr   T2's list ends with T1's value           T1 before T2
    rw   T1's list lacks T2's value               T1 before T2
    rt   T1 was complete before T2 was invoked    T1 before T2

The history is strictly serializable exactly if these have no cycle (and the lists make sense by
themselves). Every append that somebody could have seen is placed: an acknowledged append
missing from the longest list must have come after all that was read, so that a lost one is a
cycle too. Acknowledged transactions are certain, failed ones must never be seen, unknown
ones count once seen.

Time and memory are linear in the size of the history plus n log n for sorting it.
"""

from __future__ import annotations

from fastness.testing._explanations import report_cycles
from fastness.testing._graph import Graph, add_process_order, add_real_time
from fastness.testing._list_contents import report_contents
from fastness.testing._list_orders import add_list_orders, describe
from fastness.testing._lists import take_apart
from fastness.testing.history import History, Key
from fastness.testing.report import Report


def check_list_append(history: History) -> Report:
    """Judge a history of `Read` and `Append` operations.

    Anomalies: `internal`, `incompatible-order`, `duplicate-element`, `garbage-read`, `G1a`,
    `G1b`, `lost-update`, and the cycles `G0`, `G1c`, `G-single`, `G-nonadjacent`, `G2`, plain
    or with `-process` or `-realtime`. Raises `InvalidHistory` for operations that are no list
    operations and for a value appended twice to one key.
    """
    report = Report.on("list-append", history)
    lists = take_apart(history)
    report_contents(report, history, lists)
    graph: Graph[Key] = Graph(len(history))
    add_list_orders(graph, lists)
    add_process_order(graph, history, lists.committed)
    add_real_time(graph, history, lists.committed)
    report_cycles(
        report,
        history,
        graph,
        key_of=lambda key: key,
        describe=lambda step: describe(history, lists, step),
    )
    return report
