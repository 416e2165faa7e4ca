# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims against what happened: which verdicts are untrue, and in which direction."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .table import Row

Said = dict[str, list[Any]]  # act -> [got through, what was seen]


@dataclass
class Findings:
    """``count``: figures of all kinds of host; ``faults`` in words; ``notes``: what is worth knowing and no fault."""

    count: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    table: dict[str, Counter[str]] = field(default_factory=dict)  # kind -> verdicts by status

    def fault(self, what: str, text: str) -> None:
        self.count[what] += 1
        self.faults.append(f"{what}: {text}")


def judge(
    where: str, claims: dict[str, dict[str, Any]], rows: list[Row], free: Said, bound: Said, found: Findings
) -> None:
    """All clauses of one policy on one host. ``free`` and ``bound``: what the acts did without and with the policy."""
    for clause, claim in claims.items():
        found.count["clauses"] += 1
        acts = [row for row in rows if clause in row.clauses]
        tried = [
            row
            for row in acts
            if row.key in bound and (free.get(row.key, [None])[0] is True or not row.needs_control)
        ]
        found.count["acts"] += len(tried)
        place = f"{where}: {clause}"
        for row in tried:
            if bound[row.key][0] is None:
                found.fault("broken", f"{place}: {row.key}: {bound[row.key][1]}")
        through = [row for row in tried if not row.works and bound[row.key][0] is True]
        denied = [row for row in tried if not row.works and bound[row.key][0] is False]
        _leaks(place, claim, through, bound, found)
        _blocked(place, claim, [row for row in tried if row.works], bound, found)
        if not tried:
            found.count["untried"] += 1
            found.notes.append(f"untried: {place}: no act gets through on this host without a policy")
        elif claim["status"] != "enforced":
            _underclaimed(place, claim, through, denied, found)


def _leaks(place: str, claim: dict[str, Any], through: list[Row], bound: Said, found: Findings) -> None:
    """An act that got through is a leak where the verdict is "enforced", or "partial" without a word of it."""
    for row in through:
        named = row.hole and re.search(row.hole, claim["detail"])
        if claim["status"] == "enforced" or (claim["status"] == "partial" and not named):
            how = f"{claim['status']} ({', '.join(claim['mechanisms'])})"
            found.fault("leaks", f"{place} is {how}, but {row.key}: {bound[row.key][1]}")


def _blocked(place: str, claim: dict[str, Any], works: list[Row], bound: Said, found: Findings) -> None:
    for row in works:
        if bound[row.key][0] is False and claim["status"] in ("enforced", "partial"):
            found.fault("blocked", f"{place} grants {row.key}: {bound[row.key][1]}")


def _underclaimed(
    place: str, claim: dict[str, Any], through: list[Row], denied: list[Row], found: Findings
) -> None:
    """Called not enforced, or only in part, and yet everything that was tried was denied."""
    if denied and not through:
        found.fault(
            "underclaimed",
            f"{place} is {claim['status']} ({claim['detail']}), but all {len(denied)} acts failed",
        )
    if claim["status"] == "partial":
        for row in denied:
            if row.hole and re.search(row.hole, claim["detail"]):
                found.count["closed_holes"] += 1
                found.notes.append(f"closed hole: {place} names one that {row.key} did not find")
