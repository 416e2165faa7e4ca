# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waivers: which clause may stay unenforced, on which system, by whom, why and until when."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from .faults import FaultList, Refusal, did_you_mean, quote
from .model import OS, Waiver
from .source import Node


def read_waivers(
    root: Node,
    places: Mapping[str, str],
    known: Collection[str],
    sections: Collection[str],
    today: date,
    faults: FaultList,
) -> list[Waiver]:
    """The waivers, with a place of the document (``network.connect[0]``) translated to the clause's id.

    ``places``: place -> clause id; ``known``: all clause ids. An expired waiver and one of an unknown clause
    are faults.
    """
    broken = {fault.place for fault in (*root.source.faults, *faults.items)}
    found: dict[tuple[str, OS], Waiver] = {}
    for node in root.each("waivers"):
        written = str(node.value["clause"])
        clause = places.get(written, written)
        if clause not in known and clause not in sections:
            section = written.partition("[")[0]
            if not any(place.startswith(section) for place in broken):
                fix = did_you_mean(written, {*known, *sections}, "clauses")
                faults.add(node.get("clause") or node, f"there is no clause {quote(written)}.", fix)
            continue
        until = node.get("until") or node
        with faults.at(until):
            waiver = Waiver(
                clause,
                OS(node.value["on"]),
                str(node.value["reason"]),
                str(node.value["owner"]),
                _not_past(str(node.value["until"]), today),
                origin=node.origin,
            )
            if (clause, waiver.on) in found:
                first = found[clause, waiver.on].origin.line
                message = f"{quote(clause)} is waived twice on {waiver.on.value}, first on line {first}."
                faults.add(node, message, "remove one of them")
            found.setdefault((clause, waiver.on), waiver)
    return list(found.values())


def _not_past(text: str, today: date) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Refusal(
            f"{quote(text)} is no day of the calendar.", "write a date, such as 2027-03-31"
        ) from None
    if day < today:
        raise Refusal(f"the waiver expired on {quote(text)}.", "meet the clause, or have the waiver renewed")
    return text
