# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table and the plot of a run."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from converge_chart import chart
from converge_goals import Run
from converge_page import BEGIN, END, replace, section, table

TITLES = {"ours": "ours & more", "floor": "plain ssh", "pyinfra": "pyinfra"}
RUNS = [
    Run(3, 0, "ours", "first", 3.0, 0.25, 20_000),
    Run(3, 0, "floor", "first", 2.0, 0.05, 10_000),
    Run(1, 0, "ours", "rollback", 1.0, 0.1, 1000),
]


def test_a_row_for_each_way_that_ran() -> None:
    assert table(RUNS, TITLES) == [
        "| 3 hosts | | Wall | x floor | Controller CPU per host | On the wire per host |",
        "|---|---|---|---|---|---|",
        "| First converge | ours & more | 3.0 s | 1.50 | 250 ms | 20.0 kB |",
        "|  | plain ssh | 2.0 s | 1.00 | 50 ms | 10.0 kB |",
    ]


def test_the_page_gets_what_was_missed_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    replace(page, section(RUNS, TITLES, ["Here."], ["too slow"]))
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\nHere.\n") and text.endswith(f"\n- too slow.\n{END}\nafter\n")
    assert "Every goal is met." in section(RUNS, TITLES, [], [])
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no place"):
        replace(page, "x")


def test_the_plot_is_whole_and_knows_the_dark() -> None:
    text = chart(RUNS, TITLES)
    root = ElementTree.fromstring(text)
    bars = [one for one in root.iter() if one.get("class") in ("bar", "ours")]
    assert [(one.get("class"), float(one.get("width", 0))) for one in bars] == [
        ("ours", 240.0),
        ("bar", 160.0),
    ]
    assert "prefers-color-scheme: dark" in text
    width = float(root.get("width", 0))
    assert all(float(one.get("x", 0)) < width for one in root.iter())
