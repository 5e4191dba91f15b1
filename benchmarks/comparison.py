"""The server beside its peers, as one SVG: a group of bars for each contest, longest is fastest.

Each group has a scale of its own, whose end is the fastest of the group: what is seen is how many
times faster one is than another. Where a row tells microseconds the bar shows how often such an
operation fits into a second, so that longer is better everywhere; the text tells the figure.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from benchmarks.report import Report, figure
from benchmarks.rows import Row, Unit

LABEL_PX = 190
PLOT_PX = 520
FIGURE_PX = 150
BAR_PX = 18
GROUP_PX = 34
TOP_PX = 34
OURS = "Fastness"
COLOURS = {OURS: "#2a7f62"}
PEER, INK = "#9aa5ad", "#222222"

Bar = tuple[str, float, str]
"""A contender, its rate, and its figure in words."""


def svg(report: Report) -> str:
    """The chart; contests without a peer are not in it."""
    groups = _groups(report)
    width = LABEL_PX + PLOT_PX + FIGURE_PX
    height = TOP_PX + sum(GROUP_PX + BAR_PX * len(bars) for bars in groups.values()) + 12
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
    )
    parts = [
        head,
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(12, 22, "Driven from Python over a socket: longer is faster", size=14),
    ]
    top = TOP_PX
    for what, bars in groups.items():
        parts.append(_text(12, top + 22, what, weight="bold"))
        top += GROUP_PX - 6
        best = max(rate for _name, rate, _told in bars)
        for name, rate, told in bars:
            parts += _bar(top, name, rate / best, told)
            top += BAR_PX
        top += 6
    return "\n".join([*parts, "</svg>"]) + "\n"


def _groups(report: Report) -> dict[str, list[Bar]]:
    groups: dict[str, list[Bar]] = {}
    for rows in report.benchmarks.values():
        for row in rows:
            if row.peer_figure is None or row.unit not in (Unit.PER_SECOND, Unit.MICROSECONDS):
                continue
            bars = groups.setdefault(row.what, [_bar_of(OURS, row.figure, row)])
            bars.append(_bar_of(row.peer, row.peer_figure, row))
    return groups


def _bar_of(name: str, value: float, row: Row) -> Bar:
    rate = value if row.unit is Unit.PER_SECOND else 1 / value
    return name, rate, figure(value, row.unit)


def _bar(top: int, name: str, share: float, told: str) -> list[str]:
    middle = top + BAR_PX - 5
    bar = (
        f'<rect x="{LABEL_PX}" y="{top + 2}" width="{max(share * PLOT_PX, 1):.1f}" '
        f'height="{BAR_PX - 4}" fill="{COLOURS.get(name, PEER)}"/>'
    )
    return [
        _text(LABEL_PX - 8, middle, name, anchor="end"),
        bar,
        _text(LABEL_PX + round(share * PLOT_PX) + 8, middle, told),
    ]


def _text(
    x: int, y: int, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{INK}">{escape(text)}</text>'
    )
