# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short table for people at a terminal: one line a host, below it what is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from .fleet import BAD_STATES, PolicyFleet, state

SHOWN = 12  # lines of trouble for one policy; the report has them all
_COLUMNS = ("proven", "read", "claimed", "partial", "waived")


def lines(fleets: Iterable[PolicyFleet]) -> list[str]:
    """Plain lines without colour; control characters of hostile values are replaced."""
    out: list[str] = []
    for fleet in fleets:
        out += _policy(fleet)
    return ["".join(letter if letter.isprintable() else "\ufffd" for letter in line) for line in out]


def _policy(fleet: PolicyFleet) -> list[str]:
    width = max([4, *(len(column.name) for column in fleet.hosts)])
    out = [f"{fleet.policy} on {len(fleet.hosts)} host(s): {'holds' if fleet.ok else 'DOES NOT HOLD'}"]
    out.append(
        "  " + "host".ljust(width) + "".join(name.rjust(9) for name in (*_COLUMNS, "bad")) + "  digest"
    )
    troubles: list[str] = []
    notes: list[str] = []
    for column in fleet.hosts:
        if column.evidence.missing:
            out.append(f"  {column.name.ljust(width)}  no evidence: {column.evidence.missing}")
            continue
        figures = [column.counts.get(name, 0) for name in _COLUMNS] + [column.bad]
        out.append(
            "  "
            + column.name.ljust(width)
            + "".join(str(n).rjust(9) for n in figures)
            + f"  {column.evidence.digest[:12]}"
        )
        troubles += [f"{column.name}: {text}" for text in column.evidence.troubles]
        notes += [f"{column.name}: {text}" for text in column.evidence.notes]
        notes += [f"{column.name}: {item.text}" for item in column.evidence.drift]
        for clause in column.evidence.clauses:
            if state(clause) in BAD_STATES:
                text = "; ".join([*clause.failures, *clause.unsure]) or clause.detail
                troubles.append(f"{column.name} {clause.clause} {clause.outcome}: {text}")
    out += [f"  * {text}" for text in notes]
    out += [f"  ! {text}" for text in troubles[:SHOWN]]
    if len(troubles) > SHOWN:
        out.append(f"  ! and {len(troubles) - SHOWN} more, see the report")
    return out
