# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/support.md is what the backends' tables print."""

from __future__ import annotations

import runpy
from pathlib import Path

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.registry import support_matrix

GENERATOR = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "support_matrix.py"))


def test_the_page_is_what_the_tables_print() -> None:
    assert GENERATOR["PAGE"].read_text(encoding="utf-8") == GENERATOR["page"](), "run `make docs-support`"


def test_two_kinds_of_clause_never_share_a_name() -> None:
    kinds: dict[str, set[str]] = {}
    for row in support_matrix():
        kinds.setdefault(GENERATOR["_clause"](row), set()).add(row["kind"])
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


def test_each_row_of_the_tables_is_on_the_page() -> None:
    lines = GENERATOR["page"]().splitlines()
    for row in support_matrix():
        start = f"| {GENERATOR['_clause'](row)} | {row['backend']} | {row['grade']} |"
        assert [line for line in lines if line.startswith(start)], start


def test_a_cell_cannot_break_the_table() -> None:
    assert GENERATOR["_escape"]("ProtectKernel*, a | b <x>") == "ProtectKernel\\*, a \\| b \\<x>"
