"""The rows that have a target, as one SVG: how far each is on the good side of its bound.

Every bar is the *headroom*: how many times better than its target a row is, on a logarithmic
axis, so that bounds of costs and of rates can stand in one picture. The line at 1x is the
target; a bar to its right reaches it, a bar to its left misses it. The whisker spans the
rounds. Text is plain and the file has no script, so it shows wherever images do.
"""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from benchmarks.report import Report, cells
from benchmarks.rows import Row

LABEL_PX = 380
PLOT_PX = 420
FIGURES_PX = 300
ROW_PX = 24
TOP_PX = 56
LEAST, MOST = 0.25, 16.0
TICKS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
GOOD, BAD, WHISKER, INK, GRID = "#2a7f62", "#b3402a", "#333333", "#222222", "#dddddd"


def headroom(value: float, bound: float, *, at_least: bool) -> float:
    """How many times better than its bound a value is; 1 is just reached."""
    return value / bound if at_least else bound / value


def svg(report: Report) -> str:
    """The chart of a report."""
    rows = [row for rows in report.benchmarks.values() for row in rows if row.reached is not None]
    width = LABEL_PX + PLOT_PX + FIGURES_PX
    height = TOP_PX + ROW_PX * len(rows) + 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
    )
    parts = [
        head,
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(12, 20, "Times better than the target (right of 1x: reached)", size=14),
        *_grid(height),
    ]
    for number, row in enumerate(rows):
        parts += _bar(row, TOP_PX + ROW_PX * number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(height: int) -> list[str]:
    parts: list[str] = []
    for tick in TICKS:
        x = _place(tick)
        parts.append(_line(x, TOP_PX - 8, x, height - 12, INK if tick == 1.0 else GRID))
        parts.append(_text(x, TOP_PX - 12, f"{tick:g}x", anchor="middle"))
    return parts


def _bar(row: Row, top: int) -> list[str]:
    if row.target is None:
        return []
    bound, at_least = row.target.bound, row.target.at_least
    middle = top + ROW_PX // 2
    end, one = _place(headroom(row.judged, bound, at_least=at_least)), _place(1.0)
    label = f"{row.what}, to {row.peer}" if row.peer else row.what
    _what, ours, _own, _cpu, _peer, theirs, _its, _peer_cpu, ratio, target, _reached = cells(row)
    told = f"{ratio or ours} {target}" if not theirs else f"{ratio} {target}"
    bar = (
        f'<rect x="{min(one, end):.1f}" y="{top + 5}" width="{abs(end - one):.1f}" '
        f'height="{ROW_PX - 10}" fill="{GOOD if row.reached else BAD}"/>'
    )
    parts = [
        _text(LABEL_PX - 10, middle + 4, label, anchor="end"),
        bar,
        _text(LABEL_PX + PLOT_PX + 12, middle + 4, told),
    ]
    if row.ratio is not None:
        edges = [
            _place(headroom(value, bound, at_least=at_least))
            for value in (row.ratio.least, row.ratio.greatest)
        ]
        parts.append(_line(edges[0], middle, edges[1], middle, WHISKER))
    return parts


def _place(value: float) -> float:
    """Where a value stands on the axis; what lies beyond it stands at its edge."""
    kept = min(max(value, LEAST), MOST)
    return LABEL_PX + PLOT_PX * math.log(kept / LEAST) / math.log(MOST / LEAST)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{INK}">{escape(text)}</text>'
    )
