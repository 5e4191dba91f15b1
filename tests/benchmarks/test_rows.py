"""What a benchmark answers, and how it is judged and shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import comparison, juicefs
from benchmarks.chart import headroom, svg
from benchmarks.publication import END, begin, publish, replaced, summary
from benchmarks.report import Report, cells, markdown, read_json
from benchmarks.rows import (
    Row,
    Unit,
    at_least,
    at_most,
    cost_row,
    median_row,
    missing_row,
    rate_row,
)
from benchmarks.samples import Cpu, Round, Series

BEGIN = begin("embedded")
OURS = Series("Fastness", [Round(10, 30_000, [3_000] * 10)])
THEIRS = Series("peer <&>", [Round(10, 10_000, [1_000] * 10)])


def report_of(*rows: Row) -> Report:
    """A report of one benchmark."""
    return Report(
        started="2024-01-31T00:00:00+00:00",
        effort="tiny",
        machine="any",
        load=0.5,
        versions={"Python": "3"},
        benchmarks={"reads": list(rows)},
    )


@pytest.mark.parametrize(("bound", "reached"), [(2.9, False), (3.0, True), (3.1, True)])
def test_a_cost_is_bounded_from_above(bound: float, reached: bool) -> None:
    """Three times the peer's cost reaches three, not less."""
    assert cost_row("read", OURS, THEIRS, target=at_most(bound)).reached is reached


@pytest.mark.parametrize(("bound", "reached"), [(0.3, True), (0.4, False)])
def test_a_rate_is_bounded_from_below(bound: float, reached: bool) -> None:
    """A third of the peer's throughput reaches 0.3, not 0.4."""
    assert rate_row("commit", OURS, THEIRS, target=at_least(bound)).reached is reached


def test_a_median_is_compared_round_by_round() -> None:
    """Not what a round took in all, but what most of its operations did."""
    ours = Series("a", [Round(3, 9_000, [2_000, 2_000, 90_000]), Round(1, 1, [4_000])])
    theirs = Series("b", [Round(3, 9_000, [1_000, 1_000, 1_000]), Round(1, 1, [1_000])])
    row = median_row("commit", ours, theirs, target=at_most(3.0))
    assert row.ratio == (3.0, 2.0, 4.0)
    assert (row.figure, row.peer_figure) == (3.0, 1.0)
    assert row.reached is True


def test_without_a_peer_the_figure_is_judged() -> None:
    """A figure of its own is bounded itself; without a target nothing is judged."""
    row = Row(what="memory", unit=Unit.MEGABYTES, figure=350.0, target=at_most(400.0))
    assert row.reached is True
    assert replace(row, figure=401.0).reached is False
    assert replace(row, target=None).reached is None


def test_a_row_shows_every_figure() -> None:
    """The cells hold figure, latencies, peer, ratio, bound and verdict."""
    assert cells(cost_row("read", OURS, THEIRS, target=at_most(2.0))) == (
        "read",
        "3 us",
        "3 / 3 / 3",
        "",
        "peer <&>",
        "1 us",
        "1 / 1 / 1",
        "",
        "3.00 (3.00 to 3.00)",
        "<= 2x",
        "MISSED",
    )


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    """What is read back equals what was written."""
    report = report_of(cost_row("read", OURS, THEIRS, target=at_most(2.0)))
    report.write_json(tmp_path / "results.json")
    assert read_json(tmp_path / "results.json") == report
    assert [row.what for row in report.missed] == ["read"]


def test_the_chart_is_valid_and_names_every_target() -> None:
    """The drawing parses, escapes names, and shows rows with a target only."""
    judged = cost_row("read", OURS, THEIRS, target=at_most(2.0))
    drawn = svg(report_of(judged, cost_row("told", OURS, THEIRS)))
    texts = ["".join(node.itertext()) for node in ET.fromstring(drawn).iter()]  # noqa: S314 - our own drawing
    assert "read, to peer <&>" in texts
    assert not any(text.startswith("told") for text in texts[1:])


def test_headroom_is_one_at_the_target() -> None:
    """Costs and rates share one axis: above one is better than asked."""
    assert headroom(2.0, 2.0, at_least=False) == headroom(0.8, 0.8, at_least=True) == 1.0
    assert headroom(1.0, 2.0, at_least=False) == headroom(1.6, 0.8, at_least=True) == 2.0


def test_publishing_keeps_the_prose(tmp_path: Path) -> None:
    """Only what stands between the markers changes, and doing it again changes nothing."""
    page = tmp_path / "BENCHMARKS.md"
    page.write_text(f"# Before\n\n{BEGIN}\n\nold\n\n{END}\n\nAfter.\n")
    report = report_of(cost_row("read", OURS, THEIRS))
    publish(report, tmp_path)
    once = page.read_text()
    publish(report, tmp_path)
    assert page.read_text() == once
    assert once.startswith("# Before\n")
    assert once.endswith("After.\n")
    assert "old" not in once
    assert markdown(report) in once
    assert (tmp_path / "benchmarks.svg").exists()


def test_a_busy_machine_is_told_of(tmp_path: Path) -> None:
    """Figures taken while others used the machine are published with a warning, others not."""
    quiet = report_of(cost_row("read", OURS, THEIRS))
    busy = replace(quiet, load=1.01)
    assert not quiet.warning
    assert "1.0" in busy.warning
    for report in (quiet, busy):
        page = tmp_path / "BENCHMARKS.md"
        page.write_text(f"{BEGIN}\n{END}\n")
        publish(report, tmp_path)
        assert ("busy" in page.read_text()) is (report is busy)


def test_the_published_engines_stand_beside_what_was_measured() -> None:
    """Only operations measured here are shown, each with a figure of every engine."""
    row = cost_row(juicefs.named(juicefs.LOOKUP), OURS, THEIRS)
    report = replace(report_of(), benchmarks={juicefs.BENCHMARK: [row]})
    assert juicefs.lines(report) == [("lookup", "3", "173", "608", "1,067", "1,054", "557")]
    assert "| lookup | 3 | 173 |" in summary(report, "embedded")
    assert not juicefs.markdown(report_of(row))
    assert all(len(one) == len(juicefs.ENGINES) for one in juicefs.PUBLISHED_US.values())


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_page_without_markers_is_left_alone(page: str) -> None:
    """There is nowhere to put the table."""
    with pytest.raises(ValueError, match="needs the lines"):
        replaced(page, "inside", "embedded")


def test_a_missing_peer_is_named_and_judged_by_nothing() -> None:
    """Its row shows why it is missing; neither the verdict nor the chart counts it."""
    row = missing_row(
        "read", OURS, Unit.PER_SECOND, peer="etcd", reason="not here", target=at_least(3.0)
    )
    assert row.reached is None
    assert "etcd (missing: not here)" in cells(row)
    assert ">= 3x" in cells(row)
    assert "etcd" not in svg(report_of(row))


def test_processor_time_is_told_for_each_operation() -> None:
    """It is summed over all rounds, and shown of both sides."""
    spent = Series("a", [Round(10, 1, [], Cpu(20_000, 30_000)), Round(30, 1, [])])
    spent.rounds.append(Round(10, 1, [], Cpu(40_000, 10_000)))
    assert spent.cpu_us() == Cpu(3.0, 2.0)
    assert OURS.cpu_us() is None
    row = cost_row("read", spent, Series("b", spent.rounds))
    assert "3 + 2" in cells(row)


def test_families_are_published_apart(tmp_path: Path) -> None:
    """What a run measured of one family leaves the other's part and files as they are."""
    page = tmp_path / "BENCHMARKS.md"
    page.write_text(f"{BEGIN}\nold\n{END}\n{begin('server')}\nold\n{END}\n")
    row = rate_row("point reads", OURS, THEIRS, target=at_least(0.1))
    publish(replace(report_of(), benchmarks={"server-reads": [row]}), tmp_path)
    embedded, server = page.read_text().split(begin("server"))
    assert "old" in embedded
    assert "old" not in server
    assert "point reads" in server
    assert not (tmp_path / "benchmarks.json").exists()
    for name in ("benchmarks-server.svg", "benchmarks-server-targets.svg"):
        assert name in server
        assert (tmp_path / name).read_text().startswith("<svg")


def test_the_comparison_shows_the_faster_longer() -> None:
    """Of a rate the greater, of a cost the lesser; rows without a peer are left out."""
    cost = cost_row("a cost", OURS, THEIRS)
    alone = Row(what="alone", unit=Unit.MICROSECONDS, figure=3.0)
    drawn = ET.fromstring(comparison.svg(report_of(cost, alone)))  # noqa: S314 - our own drawing
    bars = [node for node in drawn.iter() if node.tag.endswith("rect")][1:]
    ours, theirs = (float(bar.attrib["width"]) for bar in bars)
    assert ours == pytest.approx(theirs / 3, rel=0.01)
    texts = ["".join(node.itertext()) for node in drawn.iter()][1:]
    assert "peer <&>" in texts
    assert "alone" not in texts
