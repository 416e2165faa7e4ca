# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the benchmark for docs/performance.md, between two marks that only this module writes between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from converge_goals import Run, median, ratio

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
ACTS = {"first": "First converge", "no_change": "No change", "rollback": "Rollback"}


def table(runs: Sequence[Run], titles: Mapping[str, str]) -> list[str]:
    """Lines of Markdown: for each size and act a row for each way."""
    lines = []
    for hosts in sorted({run.hosts for run in runs if run.way == "floor"}):
        lines += [
            f"| {hosts} hosts | | Wall | x floor | Controller CPU per host | On the wire per host |",
            "|---|---|---|---|---|---|",
        ]
        for act, name in ACTS.items():
            for way, title in titles.items():
                wall = median(runs, hosts, way, act)
                if wall is None:
                    continue
                times = ratio(runs, hosts, way, "floor", act)
                cpu, wire = (median(runs, hosts, way, act, figure) or 0.0 for figure in ("cpu", "wire"))
                lines.append(
                    f"| {name} | {title} | {wall:.1f} s | {times or 0:.2f} | {cpu * 1000:.0f} ms "
                    f"| {wire / 1000:.1f} kB |"
                )
                name = ""
        lines.append("")
    return lines[:-1]


def section(
    runs: Sequence[Run], titles: Mapping[str, str], conditions: Sequence[str], missed: Sequence[str]
) -> str:
    """The whole text between the marks."""
    lines = [*conditions, "", "![Wall time of each way](images/bench.svg)", "", *table(runs, titles), ""]
    lines += ["Missed goals:", "", *(f"- {one}." for one in missed)] if missed else ["Every goal is met."]
    return "\n".join(lines)


def replace(page: Path, text: str) -> None:
    """Put ``text`` between the marks of ``page``. Raises ValueError where it has none."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the benchmark's table")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
