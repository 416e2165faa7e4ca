# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of the benchmark: bars of wall time, a panel for each act and size. SVG for light and for dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from converge_goals import Run, median
from converge_page import ACTS

LABEL, BAR, VALUE, GAP = 150, 240, 60, 24  # widths, user units
ROW, HEAD = 20, 34
STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; fill: #1b2733; }
  .head { font-weight: 600; }
  .way { text-anchor: end; fill: #46566a; }
  .page { fill: #ffffff; }
  .bar { fill: #a9b7c6; }
  .ours { fill: #2f7d4f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .way { fill: #a9b7c6; }
    .page { fill: #0d1117; }
    .bar { fill: #56657a; }
    .ours { fill: #4fb477; }
  }
"""


def chart(runs: Sequence[Run], titles: Mapping[str, str]) -> str:
    """A column for each size of fleet, a panel for each act; every panel has a scale of its own, from zero."""
    sizes = sorted({run.hosts for run in runs if run.way == "floor"})
    column = LABEL + BAR + VALUE + GAP
    panel = HEAD + ROW * len(titles) + 8
    width, height = column * len(sizes) + GAP, panel * len(ACTS) + 16
    body = []
    for at, hosts in enumerate(sizes):
        for line, (act, name) in enumerate(ACTS.items()):
            walls = {way: median(runs, hosts, way, act) for way in titles}
            body += _panel(f"{name}, {hosts} hosts", walls, titles, GAP + at * column, line * panel)
    said = "; ".join(
        f"{titles[way]} {median(runs, sizes[-1], way, 'first') or 0:.1f} s on {sizes[-1]} hosts"
        for way in titles
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="t d">\n<!-- SPDX-License-Identifier: GPL-3.0-or-later -->\n'
        '<title id="t">Wall time of each way to do the job</title>\n'
        f'<desc id="d">First converge: {escape(said)}</desc>\n<style>{STYLE}</style>\n'
        f'<rect class="page" width="{width}" height="{height}" rx="8"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _panel(
    head: str, walls: Mapping[str, float | None], titles: Mapping[str, str], x: int, y: int
) -> list[str]:
    longest = max((wall for wall in walls.values() if wall), default=1.0)
    lines = [f'<text class="head" x="{x + LABEL}" y="{y + HEAD - 10}">{escape(head)}, seconds</text>']
    there = [(way, wall) for way, wall in walls.items() if wall is not None]
    for row, (way, wall) in enumerate(there):
        top = y + HEAD + row * ROW
        long = max(1.0, wall / longest * BAR)
        kind = "ours" if way == "ours" else "bar"
        lines += [
            f'<text class="way" x="{x + LABEL - 8}" y="{top + 11}">{escape(titles[way])}</text>',
            f'<rect class="{kind}" x="{x + LABEL}" y="{top}" width="{long:.1f}" height="14" rx="2"/>',
            f'<text x="{x + LABEL + long + 6:.1f}" y="{top + 11}">{wall:.1f}</text>',
        ]
    return lines
