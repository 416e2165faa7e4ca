# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print docs/support.md from the backends' own tables: `make docs-support`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.registry import support_matrix

PAGE = Path(__file__).parents[2] / "docs" / "support.md"
# A system's title, and what the column "since" counts there.
SYSTEMS = {
    "linux": ("Linux", "the version of systemd, or of nftables for its rows"),
    "windows": ("Windows", "the version of the Windows kernel (6.1 is Windows 7 and Server 2008 R2)"),
    "macos": ("macOS", "the version of macOS"),
}
GRADES = ("exact", "coarser", "never")
# Kinds that are entries of a list and have an id of their own, `filesystem.write[$logs]`.
ENTRIES = (
    *("BusName", "Connect", "Deny", "Device", "EnvironmentSet", "Execute", "Listen", "Privilege", "Read"),
    *("Secret", "Spawn", "UnixSocket", "Write"),
)
HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Printed by `make docs-support` from the tables of plugins/plugin_utils/backends/. Do not edit. -->
# What each system carries

This page is printed from the tables that the compiler uses. What one host makes of one policy depends on its versions
and features as well; `bulkhead.fleet.render` shows that.

| Grade | Meaning | Verdict of the clause |
|---|---|---|
| exact | as the policy says | enforced; partial or refused where the host is too old or lacks what is needed |
| coarser | with a gap, which is named | partial, or enforced where the gap does not matter to this policy |
| never | not at all | refused, unless it is waived |

`filesystem.write` is the closure: nothing but what is listed. `filesystem.write[…]` is one entry of the list.

## At a glance

The best grade that any backend of the system gives. Windows and macOS are rendered in this version, not applied."""


def page() -> str:
    """The whole of docs/support.md."""
    rows = sorted(support_matrix(), key=lambda row: (row["clause"], row["kind"] in ENTRIES, row["backend"]))
    parts = [HEAD, _glance(rows)]
    for system, (title, since) in SYSTEMS.items():
        own = [row for row in rows if row["os"] == system]
        parts += [f'## {title}\n\n"Since" is {since}.', _details(own)]
    return "\n\n".join(parts) + "\n"


def _glance(rows: list[dict[str, Any]]) -> str:
    best: dict[str, dict[str, str]] = {}
    for row in rows:
        grades = best.setdefault(_clause(row), {})
        grades[row["os"]] = min(grades.get(row["os"], "never"), row["grade"], key=GRADES.index)
    titles = [title for title, _ in SYSTEMS.values()]
    return _table(
        ["Clause", *titles],
        ([clause, *(grades.get(system, "never") for system in SYSTEMS)] for clause, grades in best.items()),
    )


def _details(rows: list[dict[str, Any]]) -> str:
    return _table(
        ["Clause", "Backend", "Grade", "By", "Since", "What is missing, or needed"],
        (
            [_clause(row), row["backend"], row["grade"], row["mechanism"], row["since"], row["missing"]]
            for row in rows
        ),
    )


def _clause(row: dict[str, Any]) -> str:
    return f"`{row['clause']}{'[…]' if row['kind'] in ENTRIES else ''}`"


def _table(titles: list[str], rows: Iterable[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines)


def _escape(cell: str) -> str:
    for mark in "|*<":
        cell = cell.replace(mark, "\\" + mark)
    return cell


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(Path.cwd())} is written\n")
