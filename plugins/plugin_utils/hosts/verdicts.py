# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enforce or refuse: what stops a task before anything is changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

SHOWN = 20
WAIVER_DAYS = 90


def objection(bundle: Mapping[str, Any], accept: Sequence[str], host: str, today: date) -> str:
    """ "" where every verdict is acceptable, else what a person needs to decide, clause by clause."""
    unaccepted = [verdict for verdict in bundle["verdicts"] if verdict["status"] not in {"enforced", *accept}]
    if not unaccepted:
        return ""
    count = len(unaccepted)
    lines = [
        f"policy '{bundle['policy']}' is refused for {host}, nothing was changed: "
        f"{count} clause{'' if count == 1 else 's'} cannot be enforced as written."
    ]
    for verdict in unaccepted[:SHOWN]:
        nothing = (
            "no backend carries it" if verdict["status"] == "refused" else "this task does not accept that"
        )
        lines.append(f"  {verdict['clause']} is {verdict['status']}: {verdict['detail'] or nothing}")
    if count > SHOWN:
        lines.append(f"  ... and {count - SHOWN} more.")
    until = (today + timedelta(days=WAIVER_DAYS)).isoformat()
    lines.append("To go on without a clause, somebody has to answer for it. Add to the policy:")
    lines.append("  waivers:")
    for verdict in unaccepted[:SHOWN]:
        # A clause id may hold brackets and colons; a JSON string is a YAML string.
        clause = json.dumps(verdict["clause"])
        lines.append(
            f"    - {{clause: {clause}, on: {bundle['os']}, reason: WHY, owner: WHO, until: {until}}}"
        )
    return "\n".join(lines)


def by_clause(bundle: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{clause: {status, mechanisms, detail}}, for the task's result."""
    keys = ("status", "mechanisms", "detail")
    return {verdict["clause"]: {key: verdict[key] for key in keys} for verdict in bundle["verdicts"]}
